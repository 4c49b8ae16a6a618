"""Input packages, task runner and merge around Open Source Risk Engine."""

__version__ = "0.1.0"
