"""Keys of the wrong type, which another program has written: logged once, avoided, and repaired when they are gone.

Hubbub never deletes such a key: it may be important to the other program. Commands that need it are refused until it is
gone; everything else works.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.connection import Argument
from hubbub.errors import StoreError

TYPES = {
    b"g": b"hash", b"h": b"list", b"m": b"zset", b"a": b"zset", b"u": b"hash", b"j": b"hash", b"i": b"list",
    b"k": b"string", b"b": b"string", b"n": b"hash",
}  # fmt: skip
"""The types of the keys that belong to a group, a user or an incarnation, by their first letter: see `schema`."""

SHARD_TYPES = {
    b"names": b"zset", b"sizes": b"zset", b"absences": b"zset", b"w": b"hash", b"secret": b"string", b"lives": b"zset",
    b"pulse": b"string", b"dead": b"zset", b"run": b"string", b"run:epoch": b"string", b"window": b"string",
    b"schema": b"string",
}  # fmt: skip
"""The types of the keys that each shard has once."""

MOST_SUSPECTS = 100
"""Most failed commands that are examined between two heartbeats."""

MOST_KNOWN = 1000
"""Most wrong keys that are remembered and logged."""

LONGEST_NAME = 2048
"""Most bytes of an argument that may be a name."""

log = logging.getLogger("hubbub.valkey")

Command = Callable[..., Coroutine[Any, Any, Any]]


class WrongKeys:
    """The wrong keys of one shard.

    Args:
        prefix: What all keys of the shard begin with.
        command: Sends a command to the store and returns the reply.

    Attributes:
        groups: The groups with a wrong key; commands that need them are refused.
        users: The users with a wrong key, likewise.
    """

    def __init__(self, prefix: str, command: Command) -> None:
        self.groups: set[str] = set()
        self.users: set[str] = set()
        self._prefix = schema.encode(prefix)
        self._command = command
        self._suspects: deque[tuple[Argument, ...]] = deque(maxlen=MOST_SUSPECTS)
        self._known: set[bytes] = set()  # without the prefix

    def suspect(self, arguments: tuple[Argument, ...]) -> None:
        """Note that a command has met a wrong key; `look` finds out which one."""
        self._suspects.append(arguments)

    def require_group(self, group: str) -> None:
        """Raise ``UNAVAILABLE`` if a key of the group is wrong."""
        if group in self.groups:
            raise _wrong_type("group")

    def require_user(self, user_id: str) -> None:
        """Raise ``UNAVAILABLE`` if a key of the user is wrong."""
        if user_id in self.users:
            raise _wrong_type("user")

    async def look(self) -> set[bytes]:
        """Find wrong keys, and log new ones. Return those that have the right type again, or are gone."""
        if not self._suspects and not self._known:
            return set()
        suspects = [self._names(arguments) for arguments in self._suspects]
        self._suspects.clear()
        names = set(self._known).union(*suspects, SHARD_TYPES if suspects else ())
        types = {name: await self._command(b"TYPE", self._prefix + name) for name in names}
        wrong = {name for name, found in types.items() if found not in (b"none", expected(name))}
        for name in wrong:
            self._add(name, types[name])
        right = self._known - wrong
        self._known &= wrong
        if not wrong & SHARD_TYPES.keys():
            for name in set().union(*(each for each in suspects if not each & wrong)):
                # The wrong key is gone already, and which one it was cannot be found out.
                if name not in SHARD_TYPES and types[name] != b"none":
                    right.add((b"g:" if name[:1] in b"ghma" else b"u:" if name[:1] in b"uji" else name[:2]) + name[2:])
        return right

    def release(self) -> None:
        """Accept the groups and users again whose keys have been repaired."""
        named = [(name[:1], schema.decode(name[2:])) for name in self._known if name not in SHARD_TYPES]
        self.groups = {name for letter, name in named if letter in b"ghma"}
        self.users = {name for letter, name in named if letter in b"uji"}

    def _add(self, name: bytes, found: bytes) -> None:
        if name in self._known or len(self._known) >= MOST_KNOWN:
            return
        self._known.add(name)
        log.error(
            "the key %r in the store is a %s and should be a %s: commands that need it fail until you delete it",
            (self._prefix + name)[:300], found.decode(), expected(name).decode(),
        )  # fmt: skip
        if name not in SHARD_TYPES:
            letter, rest = name[:1], schema.decode(name[2:])
            if letter in b"ghma":
                self.groups.add(rest)
            elif letter in b"uji":
                self.users.add(rest)

    def _names(self, arguments: tuple[Argument, ...]) -> set[bytes]:
        """Return the keys, without the prefix, that a command with these arguments may have used."""
        found = set()
        for argument in arguments:
            text = schema.encode(argument) if isinstance(argument, str) else argument
            if not isinstance(text, bytes) or not 0 < len(text) <= LONGEST_NAME:
                continue
            if b"\0\0" in text:  # the row of a connection
                text = schema.encode(schema.parse_row(text).user_id)
            if text.startswith(self._prefix):
                own = text[len(self._prefix) :]
                if own in SHARD_TYPES or (own[:1] in TYPES and own[1:2] == b":"):
                    found.add(own)
            else:
                found |= {letter + b":" + text for letter in TYPES}
        return found


def expected(name: bytes) -> bytes:
    """Return the type that a key must have; `name` is without the prefix."""
    return SHARD_TYPES.get(name) or TYPES[name[:1]]


def _wrong_type(what: str) -> StoreError:
    text = f"A key of this {what} has the wrong type in the store; the server's log names it."
    return StoreError(text, text)
