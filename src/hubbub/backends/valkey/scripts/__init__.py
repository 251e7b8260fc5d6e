"""The Lua scripts that run in the store: everything that changes more than one key is one of them.

A script runs from beginning to end with nothing in between, so membership, numbers, orders and notices change together.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

from hubbub.groups.history import GROUP, KEY, OVERHEAD, Window

PARTS = {
    "bans": (),
    "sweep": ("lease", "members"),
    "expire_node": ("members",),
    "disconnect": (),
    "connect": ("lease", "replay"),
    "remove_connection": ("lease", "members"),
    "catch_up": ("replay",),
    "leave": ("lease", "members"),
    "repair": ("lease", "members"),
    "move": ("lease", "keep", "replay", "members"),
    "page": (),
    "post": ("keep",),
    "register": (),
    "send_off": ("lease",),
    "post_to_user": ("keep",),
}
"""The scripts, each with what is put between ``common.lua`` and it: a function costs time in every run, used or not."""

FREEING = {"sweep", "expire_node", "disconnect", "remove_connection", "leave", "register"}
"""Those that run even when the store has no memory left, for they give some back, or must run before others can."""


class Script(NamedTuple):
    """A script and the name by which a store that has loaded it knows it."""

    source: bytes
    digest: bytes


def load_scripts(window: Window) -> dict[str, Script]:
    """Return all scripts, by name, for a store that keeps as much as `window` says (its ``total`` does not count)."""
    here = files(__name__)
    settings = (
        f"local MOST, BYTES, AGE, INBOX = "
        f"{window.messages}, {window.bytes}, {max(1, round(window.age * 1000))}, {window.inbox}\n"
        f"local USER, OVERHEAD, KEY, GROUP = {window.user}, {OVERHEAD}, {KEY}, {GROUP}\n"
    ).encode()
    common = settings + here.joinpath("common.lua").read_bytes()
    sources = {
        name: _head(name) + common + b"".join(here.joinpath(f"{part}.lua").read_bytes() for part in (*parts, name))
        for name, parts in PARTS.items()
    }
    return {
        name: Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())
        for name, source in sources.items()
    }


def _head(name: str) -> bytes:
    return b"#!lua flags=allow-oom\n" if name in FREEING else b"#!lua\n"
