"""A folder for one running server, which only its user can enter; folders of servers that were killed are removed.

A server holds a lock on its folder while it runs (``flock`` on the folder itself, which also stops systemd-tmpfiles
from cleaning it). A killed server leaves its folder and loses the lock; the next server that starts here removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from hubbub.errors import SettingsError

PREFIX = "hubbub-private-"
"""How the names of these folders begin."""

_ATTEMPTS = 10
"""How often to try: another server that starts may take our new folder, which is not locked yet, for an old one."""


class PrivateFolder:
    """A new folder with mode 0700, removed by `close` or at the end of a ``with`` block.

    Args:
        longest: Most bytes that its path may have.

    Attributes:
        path: The folder.

    Raises:
        SettingsError: There is no place where such a folder can be made.
    """

    def __init__(self, longest: int) -> None:
        reasons = []
        for place in places():
            if len(os.fsencode(place / PREFIX)) + 8 > longest:  # mkdtemp adds eight characters
                reasons.append(f"the path of {place} is too long for a Unix socket in it")
                continue
            try:
                remove_abandoned(place)
                self.path, self._lock = _make(place)
                return
            except OSError as error:
                reasons.append(f"{place}: {error.strerror}")
        raise SettingsError(f"cannot make a folder for the private store: {'; '.join(reasons)}; set TMPDIR to another")

    def __enter__(self) -> Self:
        """Return the folder."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the folder."""
        self.close()

    def close(self) -> None:
        """Remove the folder with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def places() -> Iterator[Path]:
    """Yield where such a folder may be: systemd's for the service, the user's, the one for temporary files."""
    given = (os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0], os.environ.get("XDG_RUNTIME_DIR"))
    yield from dict.fromkeys(Path(each) for each in (*given, tempfile.gettempdir(), "/tmp") if each)  # noqa: S108


def remove_abandoned(place: Path) -> None:
    """Remove the folders below `place` that belong to this user and that no running server has locked."""
    for path in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # locked, gone, or somebody else's
            lock = _open(path)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _make(place: Path) -> tuple[Path, int]:
    for _ in range(_ATTEMPTS):
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        try:
            lock = _open(path)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):
                return path, lock
        except (BlockingIOError, FileNotFoundError):
            os.close(lock)
        except BaseException:
            os.close(lock)
            raise
    raise FileExistsError(None, "others remove what is made there")


def _open(path: Path) -> int:
    """Open a folder of this user. Raises `OSError` if it is a link, not a folder, or somebody else's."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    about = os.fstat(folder)
    if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o077:
        os.close(folder)
        raise PermissionError(None, "belongs to somebody else")
    return folder
