"""The browser client under Node, against real servers: runs the tests in ``tests/js`` and the check of its types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hubbub.errors import CLOSE_RULES
from support.npm import install

HERE = Path(__file__).parents[1]
JS = HERE / "js"
NODE, NPM = shutil.which("node"), shutil.which("npm")
HUBBUB = Path(sys.executable).parent / "hubbub"

needs_node = pytest.mark.skipif(
    NODE is None or NPM is None,
    reason="!!! no Node.js here: the browser client is not tested (install node and npm)",
)


@pytest.fixture(scope="session")
def packages() -> None:
    """Install the packages for ``tests/js``, unless they are installed already."""
    install(JS)


def run(*command: str, timeout: float = 120) -> None:
    """Run a command in ``tests/js``. If it fails, the test fails with its output."""
    environment = {**os.environ, "HUBBUB": str(HUBBUB), "NO_COLOR": "1"}
    done = subprocess.run(
        command, cwd=JS, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-20_000:]}\n{done.stderr[-5_000:]}"


@needs_node
@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("file", sorted(path.name for path in JS.glob("*.test.mjs")))
def test_javascript(file: str) -> None:
    run("node", "--test", file)


@needs_node
@pytest.mark.usefixtures("packages")
def test_types() -> None:
    run("npx", "--no-install", "tsc", "--project", "tsconfig.json")


def test_close_codes_are_those_of_the_server() -> None:
    vectors = {row["code"]: row["reconnect"] for row in json.loads((HERE / "vectors/close_codes.json").read_text())}
    for code, rule in CLOSE_RULES.items():
        assert vectors[code] == rule.reconnect, code
    others = vectors.keys() - {int(code) for code in CLOSE_RULES}
    assert all(vectors[code] for code in others)  # clients reconnect after codes that the table does not list
