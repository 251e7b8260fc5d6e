"""The connections of this node and the group of each. Only the node itself knows this for certain."""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.messages import UserRow


class LocalMember:
    """One connection of this node, and where the store keeps its entries.

    Attributes:
        user: The connection.
        row: The same connection as the store writes it, see `schema.row`.
        user_shard: The number of the shard that holds the entries of its user.
        guest_key: The digest of a guest's key; empty for users with a token.
        group: The group it is in, or None.
        group_shard: The number of the shard that holds that group, or None.
    """

    __slots__ = ("group", "group_shard", "guest_key", "row", "user", "user_shard")

    def __init__(self, user: UserRow, user_shard: int, guest_key: bytes = b"") -> None:
        self.user = user
        self.row = schema.row(user)
        self.user_shard = user_shard
        self.guest_key = guest_key
        self.group: str | None = None
        self.group_shard: int | None = None

    def group_in(self, shard: int) -> str:
        """Return the group of the connection if that shard holds it, otherwise ``""``."""
        return self.group if self.group is not None and self.group_shard == shard else ""

    def set_group(self, group: str, shard: int) -> None:
        """Note that the connection is now in `group`, which `shard` holds."""
        self.group, self.group_shard = group, shard

    def clear_group(self) -> None:
        """Note that the connection is now in no group."""
        self.group = self.group_shard = None


LocalMembers = dict[str, LocalMember]
"""The connections of this node by connection id. All shards share one such dictionary."""
