"""What this node knows of its own connections: where each is. The node is the only one that knows for certain."""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.messages import UserRow


class Place:
    """Where one connection of this node is.

    Attributes:
        user: The connection.
        row: The same, as the store writes it.
        home: The number of the bucket that has the connection's own entry.
        group: The group that it is in, or None.
        bucket: The number of the bucket of that group, or None.
    """

    __slots__ = ("bucket", "group", "home", "row", "user")

    def __init__(self, user: UserRow, home: int) -> None:
        self.user = user
        self.row = schema.row(user)
        self.home = home
        self.group: str | None = None
        self.bucket: int | None = None

    def group_in(self, bucket: int) -> str:
        """Return the group if it lies in this bucket, otherwise ``""``."""
        return self.group if self.group is not None and self.bucket == bucket else ""

    def put(self, group: str | None, bucket: int | None) -> None:
        """The connection is in `group` from now on."""
        self.group, self.bucket = group, bucket if group is not None else None


Places = dict[str, Place]
"""The connections of this node by connection id; one such dictionary is shared by all buckets."""
