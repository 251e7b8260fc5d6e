"""Secrets that others on this machine can read: in the process list, or in a file whose mode lets them."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cyclopts import Token

MOUNTED = Path("/run/secrets")
"""Where containers have their secrets: readable by all in there, and there is nobody else."""


def warnings(origins: Mapping[str, Token]) -> Iterator[str]:
    """Yield a sentence for each secret that others can read; it says what to do and does not repeat the secret.

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
            files[Path(token.source)] = f"it holds {name}"
    if "secret_file" in origins:
        files[Path(origins["secret_file"].value)] = "it holds the secret"
    for path, why in files.items():
        if others_can_use(path):
            yield f"{path} can be read or written by every user of this machine, and {why}: chmod 600 {path}"


def others_can_use(path: Path) -> bool:
    """Return whether users beside the file's owner and group may read or write it."""
    if MOUNTED in path.absolute().parents:
        return False
    try:
        return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))
    except OSError:  # who reads it says so
        return False


IN_PROCESS_LIST = {
    "secret": "--secret shows in the list of processes: use --secret-file, or HUBBUB_SECRET in the environment",
    "backend": "the password in --backend shows in the list of processes: use HUBBUB_BACKEND in the environment",
}


def _is_secret(name: str, value: str) -> bool:
    return name == "secret" or (name == "backend" and re.search(r"//[^/]*:[^/]*@", value) is not None)
