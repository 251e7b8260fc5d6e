"""The npm package as it is released, installed into a project beside Vite, esbuild and React."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.npm import MISSING, PACKAGES, READY, install, make_project, pack


@pytest.fixture(scope="session")
def tools() -> Path:
    """The tools that `make test` builds pages with."""
    if not READY:
        pytest.skip(MISSING)
    return install(PACKAGES)


@pytest.fixture(scope="session")
def archive(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm package."""
    return pack(tmp_path_factory.mktemp("npm"))


@pytest.fixture
def project(archive: Path, tools: Path, tmp_path: Path) -> Path:
    """A new project of a user."""
    return make_project(tmp_path / "project", archive, tools)
