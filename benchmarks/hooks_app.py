"""The app of ``benchmarks/hooks.py``: a hub whose ``on_post`` is what the variable ``HOOK`` says."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from hubbub import Hub, Post

CASES = ("no hooks", "a hook for other groups", "no-op, plain JSON", "no-op, a Struct")
"""What ``HOOK`` can be."""


class Load(msgspec.Struct):
    """The message that ``hubbub bench`` posts."""

    t: float
    p: str


def make_hub(case: str) -> Hub:
    """Return a hub with the hook of a case."""
    hub = Hub(guests=True, rate_limit=0)
    if case == CASES[1]:

        @hub.on_post("other-{name}")
        async def other(post: Post[Any], name: str) -> Any:
            return post.message

    elif case == CASES[2]:

        @hub.on_post
        async def plain(post: Post[Any]) -> Any:
            return post.message

    elif case == CASES[3]:

        @hub.on_post
        async def typed(post: Post[Load]) -> Load | None:
            return post.message

    return hub


app = make_hub(os.environ.get("HOOK", CASES[0]))
