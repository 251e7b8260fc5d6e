"""The Lua scripts that run in the store: everything that changes more than one key is one of them.

A script runs from beginning to end with nothing in between, so membership, numbers, orders and notices change together.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

from hubbub.history import OVERHEAD, Window

# fmt: off
NAMES = (
    "bans", "beat", "bury", "disconnect", "enter", "exit", "later", "leave", "move", "page", "post", "revive",
    "send_off", "whisper",
)
# fmt: on

FREEING = {"beat", "bury", "disconnect", "exit", "leave", "revive"}
"""Those that run even when the store has no memory left, for they give some back, or must run before others can."""


class Script(NamedTuple):
    """A script and the name by which a store that has loaded it knows it."""

    source: bytes
    digest: bytes


def load_scripts(window: Window) -> dict[str, Script]:
    """Return all scripts, by name, for a store that keeps as much as `window` says (its ``total`` does not count)."""
    here = files(__name__)
    settings = (
        f"local MOST, BYTES, AGE, INBOX, OVERHEAD = "
        f"{window.messages}, {window.bytes}, {max(1, round(window.age * 1000))}, {window.inbox}, {OVERHEAD}\n"
    ).encode()
    common = settings + here.joinpath("common.lua").read_bytes()
    sources = {name: _head(name) + common + here.joinpath(f"{name}.lua").read_bytes() for name in NAMES}
    return {
        name: Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())
        for name, source in sources.items()
    }


def _head(name: str) -> bytes:
    return b"#!lua flags=allow-oom\n" if name in FREEING else b"#!lua\n"
