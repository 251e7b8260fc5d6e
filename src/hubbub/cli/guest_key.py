"""The key with which commands connect as guests: one per user of this machine, so two terminals can share a name."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from hubbub.client.guest_keys import derive_guest_key

SIZE = 32
"""Bytes of the secret that the keys are derived from."""


def guest_key(url: str) -> str | None:
    """Return the key for the server at `url`; None if it can neither be read nor kept, as in a read-only container.

    Raises:
        CommandError: `url` is not the address of a server.
    """
    path = _state_home() / "hubbub" / "guest-secret"
    with suppress(OSError):
        if not path.exists():
            _make(path)
        secret = path.read_bytes()
        if len(secret) == SIZE:
            return derive_guest_key(url, secret)
    return None


def _state_home() -> Path:
    """Return where programs keep such files: XDG Base Directory Specification, ``XDG_STATE_HOME``."""
    given = Path(os.environ.get("XDG_STATE_HOME", ""))
    return given if given.is_absolute() else Path(os.path.expanduser("~"), ".local/state")


def _make(path: Path) -> None:
    """Write a secret that only its owner can read, in one step: another command may do so at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(0o600)
    draft.write_bytes(secrets.token_bytes(SIZE))
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
