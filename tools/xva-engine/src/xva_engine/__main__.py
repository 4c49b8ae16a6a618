"""`python -m xva_engine`."""

import sys

from xva_engine.cli import main

sys.exit(main())
