from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hubbub.cli.process.private_folder import PREFIX, PrivateFolder, places, remove_abandoned
from hubbub.errors import SettingsError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place where folders are made."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


def test_only_its_user_can_enter_it_and_it_goes_with_everything_in_it(place: Path) -> None:
    with PrivateFolder(1000) as folder:
        assert folder.path.parent == place
        assert folder.path.stat().st_mode & 0o777 == 0o700
        (folder.path / "file").touch()
    assert list(place.iterdir()) == []


def test_two_servers_have_two_folders_and_leave_each_other_alone(place: Path) -> None:
    with PrivateFolder(1000) as first, PrivateFolder(1000) as second:
        assert first.path != second.path
        remove_abandoned(place)
        assert {each.path for each in (first, second)} == set(place.iterdir())


def test_the_folder_of_a_killed_server_is_removed_by_the_next(place: Path) -> None:
    script = (
        "from hubbub.cli.process.private_folder import PrivateFolder\n"
        "print(PrivateFolder(1000).path, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        (left / "store.sock").touch()
        with PrivateFolder(1000):
            assert left.exists()  # its server runs
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    with PrivateFolder(1000) as folder:
        assert list(place.iterdir()) == [folder.path]


def test_what_is_not_ours_stays(place: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    (place / f"{PREFIX}file").touch()
    (place / f"{PREFIX}open").mkdir(mode=0o755)
    remove_abandoned(place)
    assert len(list(place.iterdir())) == 4


def test_a_new_folder_that_another_server_removes_is_made_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], tempfile.mkdtemp

    def mkdtemp(**options: str) -> str:
        path = real(**options)
        made.append(path)
        if len(made) == 1:
            remove_abandoned(place)  # as a server that starts at this moment does
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with PrivateFolder(1000) as folder:
        assert [str(folder.path)] == made[1:]


def test_a_new_folder_that_another_server_has_locked_is_given_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks: list[int] = []
    real = tempfile.mkdtemp

    def mkdtemp(**options: str) -> str:
        path = real(**options)
        if not locks:
            locks.append(os.open(path, os.O_RDONLY))
            fcntl.flock(locks[0], fcntl.LOCK_EX)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with PrivateFolder(1000) as folder:
        assert len(list(place.iterdir())) == 2
        assert folder.path.exists()
    os.close(locks[0])


def test_a_path_that_is_too_long_for_a_socket_is_avoided(place: Path) -> None:
    with PrivateFolder(len("/tmp/") + len(PREFIX) + 8) as folder:
        assert folder.path.parent != place


def test_without_a_place_the_error_names_the_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"too long.*TMPDIR"):
        PrivateFolder(10)


def test_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/hubbub:/run/other")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert list(places()) == [Path("/run/hubbub"), Path("/run/user/1"), Path("/tmp")]
