"""What several tests of the docs need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.npm import install

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def packages() -> None:
    """Install what the docs take from npm, unless it is there already."""
    if shutil.which("npm") is None:
        pytest.skip("!!! no Node.js here: this part of the docs is not tested (install node and npm)")
    install(HERE)
