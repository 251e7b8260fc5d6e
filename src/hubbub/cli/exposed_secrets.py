"""Secrets that other users of this machine can read: in the process list, or in a file with a permissive mode."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cyclopts import Token

MOUNTED = Path("/run/secrets")
"""Where containers mount secrets: readable by everybody in the container, which has no other users."""


def warnings(origins: Mapping[str, Token]) -> Iterator[str]:
    """Yield a sentence for each secret that other users can read; it says what to do and does not repeat the secret.

    Args:
        origins: Where each setting came from.
    """
    files = {}
    for name, token in origins.items():
        if not _is_secret(name, token.value):
            continue
        if token.source in {"", "cli"}:
            yield IN_PROCESS_LIST[name]
        elif token.source != "env":
            files[Path(token.source)] = f"it contains {name}"
    if "secret_file" in origins:
        files[Path(origins["secret_file"].value)] = "it contains the secret"
    for path, why in files.items():
        if others_can_use(path):
            yield f"{path} can be read or written by every user of this machine, and {why}: chmod 600 {path}"


def others_can_use(path: Path) -> bool:
    """Return whether users other than the file's owner and group may read or write it."""
    if MOUNTED in path.absolute().parents:
        return False
    try:
        return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))
    except OSError:  # reported when the file is read
        return False


IN_PROCESS_LIST = {
    "secret": "--secret is visible in the process list: use --secret-file, or HUBBUB_SECRET in the environment",
    "hooks_secret": "--hooks-secret is visible in the process list: use HUBBUB_HOOKS_SECRET in the environment",
    "backend": "the password in --backend is visible in the process list: use HUBBUB_BACKEND in the environment",
}


def _is_secret(name: str, value: str) -> bool:
    return name in {"secret", "hooks_secret"} or (name == "backend" and re.search(r"//[^/]*:[^/]*@", value) is not None)
