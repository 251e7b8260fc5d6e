"""What several tests of the docs need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def packages() -> None:
    """Install what the docs take from npm, unless it is there already."""
    if shutil.which("npm") is None:
        pytest.skip("!!! no Node.js here: this part of the docs is not tested (install node and npm)")
    wanted, mark = (HERE / "package-lock.json").read_bytes(), HERE / "node_modules/.installed"
    if not mark.exists() or mark.read_bytes() != wanted:
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True, timeout=300)
        mark.write_bytes(wanted)
