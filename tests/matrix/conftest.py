"""What the matrix is made of: the packages as they are released, and the Pythons that are installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("matrix")


def run(*command: str | Path, cwd: Path = ROOT, timeout: float = 600, **environment: str) -> str:
    """Run a command, and return what it printed; when it fails, so does the test, with all that it said."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    text = f"{done.stdout[-20_000:]}\n{done.stderr[-10_000:]}"
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{text}"
    return done.stdout


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source archive and the wheel; the wheel is made from the archive, as in a release."""
    folder = tmp_path_factory.mktemp("packages")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(packages: Path) -> Path:
    """The wheel."""
    (found,) = packages.glob("*.whl")
    return found


def candidates(version: str) -> Sequence[str | Path]:
    """Return where a Python of this version may be."""
    return [
        *filter(None, [shutil.which(f"python{version}")]),
        *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")),
        *sorted(Path.home().glob(f".local/share/uv/python/cpython-{version}.*/bin/python{version}")),
    ]


def find_python(version: str) -> str | Path | None:
    """Return a Python of this version that works and can make environments; None if there is none."""
    test = f"import ensurepip, sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    for python in candidates(version):
        if subprocess.run([python, "-c", test], capture_output=True, check=False).returncode == 0:
            return python
    return None
