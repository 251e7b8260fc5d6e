"""The wheel on every Python that is installed here: it installs, serves, and passes tests that show what differs."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from matrix.conftest import ROOT, find_python, run

VERSIONS = ["3.11", "3.12", "3.13", "3.14"]
GROUP: list[str | dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
TOOLS = ("build", "check-jsonschema", "codespell", "hadolint", "mypy", "ruff", "shellcheck", "twine", "types", "zizmor")
"""Of the development group, what no test of the server imports."""
MODULES = ["fanout", "server", "session", "settings"]
DIRECTORIES = ["auth", "client", "dialects", "groups", "transports"]
TESTS = [*(f"tests/test_{name}.py" for name in MODULES), *(f"tests/{name}" for name in DIRECTORIES)]
"""Where a Python makes a difference: asyncio, sockets, typing, C extensions. CI runs all on each."""


@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_works(version: str, wheel: Path, tmp_path: Path) -> None:
    python = find_python(version)
    if python is None:
        pytest.skip(f"!!! SKIPPED: no Python {version} here, with venv (apt, pyenv or uv python install {version})")
    run(python, "-m", "venv", tmp_path / "env")
    own = tmp_path / "env/bin/python"
    needed = [name for name in GROUP if isinstance(name, str) and not name.startswith(TOOLS)]
    run(own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, *needed)
    run(own, "-m", "pip", "check")
    where = run(own, "-c", "import hubbub, sys; print(sys.version_info[:2], hubbub.__file__)", cwd=tmp_path)
    assert f"({version.replace('.', ', ')})" in where
    assert str(tmp_path) in where
    assert run(own, "-m", "hubbub", "--version", cwd=tmp_path) == run(tmp_path / "env/bin/hubbub", "--version")
    tests = run(
        own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60", *TESTS, timeout=600
    )
    assert " passed" in tests
