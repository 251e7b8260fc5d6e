"""A short folder for each test: the path of a Unix socket has at most 107 bytes, fewer than that of some of pytest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty folder with a short path, deleted after the test."""
    with tempfile.TemporaryDirectory(prefix="hubbub-") as folder:
        yield Path(folder)
