"""Settings of all tests."""

import pytest
from hypothesis import settings

# A property that takes long on a busy machine is not false.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Starlette 1.x deprecates httpx in its test client in favour of a package that is not among ours."""
    config.addinivalue_line("filterwarnings", "ignore:Using `httpx` with `starlette.testclient`")
