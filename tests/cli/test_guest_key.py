"""The guest key of the command line: one per user of the machine, in a file that only the owner can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub.cli.guest_key import guest_key

URL = "http://127.0.0.1:8000"


def test_the_key_stays_the_same_and_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    key = guest_key(URL)
    assert key is not None
    assert key == guest_key(URL)
    assert key != guest_key("http://127.0.0.1:8001")
    file = tmp_path / "hubbub/guest-secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["guest-secret"]


def test_without_xdg_it_is_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert guest_key(URL) is not None
    assert (tmp_path / ".local/state/hubbub/guest-secret").exists()


def test_where_nothing_can_be_kept_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hubbub").touch()  # a file in place of the directory
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert guest_key(URL) is None
    (tmp_path / "hubbub").unlink()
    (tmp_path / "hubbub").mkdir()
    (tmp_path / "hubbub/guest-secret").write_bytes(b"damaged")
    assert guest_key(URL) is None
