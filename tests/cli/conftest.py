"""A place to run commands in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without settings in the environment, and 100 columns."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("HUBBUB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path
