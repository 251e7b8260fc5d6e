"""What this node knows of its own connections: where each is. The node is the only one that knows for certain."""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.messages import UserRow


class LocalMember:
    """Where one connection of this node is.

    Attributes:
        user: The connection.
        row: The same, as the store writes it.
        home: The number of the shard that has the connection's own entry.
        group: The group that it is in, or None.
        shard: The number of the shard of that group, or None.
    """

    __slots__ = ("shard", "group", "home", "row", "user")

    def __init__(self, user: UserRow, home: int) -> None:
        self.user = user
        self.row = schema.row(user)
        self.home = home
        self.group: str | None = None
        self.shard: int | None = None

    def group_in(self, shard: int) -> str:
        """Return the group if it lies in this shard, otherwise ``""``."""
        return self.group if self.group is not None and self.shard == shard else ""

    def put(self, group: str | None, shard: int | None) -> None:
        """The connection is in `group` from now on."""
        self.group, self.shard = group, shard if group is not None else None


LocalMembers = dict[str, LocalMember]
"""The connections of this node by connection id; one such dictionary is shared by all shards."""
