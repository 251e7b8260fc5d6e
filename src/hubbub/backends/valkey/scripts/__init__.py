"""The Lua scripts that run in the store: every change of more than one key is made by one of them.

A script runs from beginning to end without interruption, so membership, counts, orders and notices change together.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

from hubbub.groups.feed import FeedWindow
from hubbub.groups.history import GROUP, KEY, OVERHEAD, Window

PARTS = {
    "bans": (),
    "sweep": ("lease", "members", "feed", "feed_users", "feed_nodes"),
    "expire_node": ("members", "feed", "feed_users"),
    "disconnect": (),
    "connect": ("lease", "replay", "no_feed"),
    "connect+feed": ("lease", "replay", "members", "feed"),
    "remove_connection": ("lease", "members", "no_feed"),
    "remove_connection+feed": ("lease", "members", "feed", "feed_users"),
    "catch_up": ("replay",),
    "feed_members": ("members",),
    "feed_read": ("feed_nodes",),
    "leave": ("lease", "members", "no_feed"),
    "leave+feed": ("lease", "members", "feed"),
    "listen": ("keep", "replay"),
    "repair": ("lease", "members"),
    "move": ("lease", "keep", "replay", "members", "no_feed"),
    "move+feed": ("lease", "keep", "replay", "members", "feed"),
    "page": ("rows",),
    "post": ("keep",),
    "posts": ("lone", "keep"),
    "register": (),
    "send_off": ("lease", "members", "feed_users"),
    "post_to_user": ("keep",),
    "unkept": (),
    "unkept_to_user": (),
    "view_groups": ("rows",),
    "view_named": (),
    "view_users": (),
}
"""The scripts, each with the parts that it needs besides ``common.lua``: every function costs time in every run.

What is behind a ``+`` tells variants of a script apart.
"""

ALLOW_OOM = {"sweep", "expire_node", "disconnect", "remove_connection", "leave", "register", "feed_read"}
"""Scripts that run even when the store is full: they free memory, or others need them to have run."""


CHANGED = "CHANGED"
"""How the error begins with which a script refuses to run because the nodes keep something else by now."""


class Script(NamedTuple):
    """A script, and the digest by which a store that has loaded it finds it."""

    source: bytes
    digest: bytes


def load_scripts(
    window: Window, registered: str | None = None, feed_window: FeedWindow | None = None
) -> dict[str, Script]:
    """Return all scripts, by name, for a node that keeps as much as `window` says; its ``total`` is not used.

    `feed_window` says how much of the feed is kept; its ``age`` is not used.

    For a program that is no node, `registered` is what the nodes have registered in the store, and `window` what it
    means. As soon as they register something else, the scripts refuse to run, with an error that begins with `CHANGED`.
    """
    here = files(__name__)
    settings = (
        f"local MOST, BYTES, AGE, INBOX = "
        f"{window.messages}, {window.bytes}, {max(1, round(window.age * 1000))}, {window.inbox}\n"
        f"local USER, OVERHEAD, KEY, GROUP = {window.user}, {OVERHEAD}, {KEY}, {GROUP}\n"
    ).encode()
    common = settings + here.joinpath("common.lua").read_bytes()
    if registered is not None:
        common += (
            f"if (redis.call('GET', P .. 'window') or '') ~= '{registered}' then\n"
            f"  return redis.error_reply('{CHANGED} the history settings of the nodes')\nend\n"
        ).encode()
    feed = feed_window or FeedWindow()
    before = {"feed": f"local FEED_EVENTS, FEED_BYTES = {feed.events}, {feed.bytes}\n".encode()}
    sources = {
        name: _head(name)
        + common
        + b"".join(
            before.get(part, b"") + here.joinpath(f"{part}.lua").read_bytes()
            for part in (*parts, name.partition("+")[0])
        )
        for name, parts in PARTS.items()
    }
    return {
        name: Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())
        for name, source in sources.items()
    }


def _head(name: str) -> bytes:
    return b"#!lua flags=allow-oom\n" if name.partition("+")[0] in ALLOW_OOM else b"#!lua\n"
