"""What has changed in the store since views were read. Pure.

The store tells us, by "server-assisted client-side caching". A view is read by one script, and the store remembers, for
this connection, which keys the script has read. When one of them is changed, whoever changes it, the store says so
once, and forgets that the connection has read it. So the scripts that change memberships do nothing for views, and cost
nothing more while nobody watches.

A post changes the key with the numbers of its group, so a view with that group's row is read again after it.
"""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.groups.view_query import GroupUsers, ViewQuery

MAX_GROUPS = 10_000
"""Most groups whose members have changed that are remembered; beyond that all views count as changed."""


class Changes:
    """Numbers that say what has changed.

    Attributes:
        revision: How often something has changed that a view has read.
        restarts: How often changes may have been missed.
        blind: Whether the store refuses to say what changes. Then everything counts as changed all the time.
    """

    def __init__(self) -> None:
        self._revision = 0
        self.restarts = 0
        self.blind = False
        self._directory = 0
        self._everything = 0
        self._members: dict[str, int] = {}

    @property
    def revision(self) -> int:
        """See above."""
        if self.blind:
            self._revision += 1
        return self._revision

    def of(self, query: ViewQuery) -> int:
        """Return the revision of the last change that may concern a view."""
        if self.blind:
            return self.revision
        if isinstance(query, GroupUsers):
            return self._members.get(query.group, self._everything)
        return self._directory

    def invalidate(self, key: bytes) -> None:
        """Note that a key was changed; an empty one means that all were."""
        self._revision += 1
        kind, name = schema.parse_channel(key) if key else (b"", b"")
        if key and kind == b"m" and name and len(self._members) < MAX_GROUPS:
            self._members[schema.decode(name)] = self._revision
        elif kind == b"g" or key.endswith((b"}:names", b"}:sizes")):
            self._directory = self._revision
        else:
            self._forget()

    def restart(self) -> None:
        """Note that changes may have been missed."""
        self.restarts += 1
        self._revision += 1
        self._forget()

    def _forget(self) -> None:
        self._members.clear()
        self._directory = self._everything = self._revision
