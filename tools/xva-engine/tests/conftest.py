"""Settings of all tests."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Starlette 1.x deprecates httpx in its test client in favour of a package that is not among ours."""
    config.addinivalue_line("filterwarnings", "ignore:Using `httpx` with `starlette.testclient`")
