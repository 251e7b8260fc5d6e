"""Which versions of what is stored, and sent between nodes, can share a store. Pure, but for `require_shared`.

A version is a whole number. It rises when a node of an older version could not read what a node of this one writes, or
the other way round, or would do harm with it. So that nodes can be updated one after the other, each version can share
a store with the one before: it writes nothing that the older one cannot read. The key ``schema`` of each shard has the
highest version that was ever there, and the oldest one that can share the store with it. Version 1 wrote no such key.

The id of a node begins with its version and ``~``. So ``register.lua`` sees the versions of all nodes that are alive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from hubbub.errors import StoreError


class Version(NamedTuple):
    """A version, and the oldest one that can share a store with it."""

    number: int
    oldest: int

    def __str__(self) -> str:
        """Return both as the key ``schema`` has them."""
        return f"{self.number} {self.oldest}"


CURRENT = Version(2, 1)
"""The version of this code. Raise the number with each change that is not compatible in both directions."""

FIRST = Version(1, 1)
"""What a store has without the key ``schema``."""

KEY = "schema"
"""The key, behind the prefix of a shard."""


def parse_version(value: bytes | None) -> Version:
    """Return what the key ``schema`` says; one that is missing, or that this code cannot read, is `FIRST`."""
    found = re.fullmatch(rb"(\d{1,9}) (\d{1,9})", value or b"")
    return Version(int(found[1]), int(found[2])) if found else FIRST


def node_id(name: str, version: Version) -> str:
    """Return the id of a node in the store."""
    return f"{version.number}~{name}"


def refusal(stored: Version, own: Version) -> str | None:
    """Return why code of version `own` cannot use a store of version `stored`, and what to do; None if it can."""
    if own.number < stored.oldest:
        return (
            f"it has version {stored.number} of the schema, which versions from {stored.oldest} on can share; this "
            f"Hubbub has version {own.number}: update it, or let it use another database, as in valkey://host:6379/1"
        )
    if stored.number < own.oldest:
        return (
            f"it has version {stored.number} of the schema; this Hubbub has version {own.number} and can share only "
            f"versions from {own.oldest} on: stop all older nodes and empty the database (FLUSHDB), or update in "
            "smaller steps: docs/scaling.md, Versions"
        )
    return None


def refusal_of_nodes(number: int, own: Version) -> str:
    """Return why code of version `own` cannot share a store with a node of version `number` that is alive."""
    return (
        f"a node with version {number} of the schema uses it; this Hubbub has version {own.number} and can share only "
        f"versions from {own.oldest} on: stop the older nodes first (one that was killed counts for 4 s), or update in "
        "smaller steps: docs/scaling.md, Versions"
    )


async def require_shared(command: Callable[..., Coroutine[Any, Any, Any]], prefix: str) -> None:
    """Check that a program that is not a node can use a shard. Call it for each new connection.

    Args:
        command: Sends a command to the store and returns the reply.
        prefix: What all keys of the shard begin with.

    Raises:
        StoreError: It cannot; the reason says what to do.
    """
    stored = await command(b"GET", prefix + KEY)
    if stored is None and not await command(b"EXISTS", prefix + "run"):
        return  # no node was ever there
    if reason := refusal(parse_version(stored), CURRENT):
        raise StoreError(reason)
