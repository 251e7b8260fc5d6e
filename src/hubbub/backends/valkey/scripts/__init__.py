"""The Lua scripts that run in the store: everything that changes more than one key is one of them.

A script runs from beginning to end with nothing in between, so membership, numbers, orders and notices change together.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

NAMES = ("beat", "bury", "enter", "exit", "leave", "move", "page", "post", "revive")

FREEING = {"beat", "bury", "exit", "leave", "revive"}
"""Those that run even when the store has no memory left, for they give some back, or must run before others can."""


class Script(NamedTuple):
    """A script and the name by which a store that has loaded it knows it."""

    source: bytes
    digest: bytes


def _load(name: str) -> Script:
    here = files(__name__)
    flags = b"#!lua flags=allow-oom\n" if name in FREEING else b"#!lua\n"
    source = flags + here.joinpath("common.lua").read_bytes() + here.joinpath(f"{name}.lua").read_bytes()
    return Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())


SCRIPTS = {name: _load(name) for name in NAMES}
"""All scripts, by name."""
