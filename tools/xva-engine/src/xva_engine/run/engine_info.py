"""Which programs on which machine made the numbers."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from xva_engine import __version__
from xva_engine.contracts import EngineInfo

IMAGE_DIGEST_VARIABLE = "XVA_IMAGE_DIGEST"


def cpu_model() -> str:
    """The processor's model name as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def engine_info(engine_version: str | None = None) -> EngineInfo:
    """`engine_version` as the engine itself says it, else that of the installed distribution."""
    system = os.uname()
    libc = os.confstr("CS_GNU_LIBC_VERSION") or "unknown libc"
    return EngineInfo(
        name="open-source-risk-engine",
        version=engine_version or version("open-source-risk-engine"),
        runner=f"xva-engine {__version__}",
        python=platform.python_version(),
        platform=f"{system.sysname} {system.machine} {libc}",
        cpu_model=cpu_model(),
        image_digest=os.environ.get(IMAGE_DIGEST_VARIABLE) or None,
    )
