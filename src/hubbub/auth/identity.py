"""A user and what the user may do. The authenticator makes identities; sessions and the HTTP API check them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from hubbub.auth.patterns import compile_patterns
from hubbub.errors import CommandError, ErrorCode


class Identity(msgspec.Struct, frozen=True):
    """A user with the rights that a token, or being a guest, gives.

    Attributes:
        user_id: The token's ``sub``, or the guest's name.
        groups: Glob patterns (``*``, ``?``, ``[abc]``) of the groups that this user may join, see and read;
            None for all.
        server: Whether the token has ``"role": "server"``: this user may post from outside and disconnect users.
        private: Whether this user may send private messages and signals. They can be sent to any user, and their number
            of recipients tells whether that user is connected.
        name: The display name, if the token has one.
        expires: When the rights end, Unix time in seconds; None for never (guests).
        post: Patterns, as in `groups`, of the groups that this user may post to; None for all that it may join.
    """

    user_id: str
    groups: tuple[str, ...] | None = None
    server: bool = False
    expires: float | None = None
    name: str | None = None
    private: bool = True
    post: tuple[str, ...] | None = None

    def may_join(self, group: str) -> bool:
        """Return whether one of the patterns in `groups` matches the whole name."""
        return self.groups is None or compile_patterns(self.groups).match(group)

    def may_post(self, group: str) -> bool:
        """Return whether one of the patterns in `post` matches the whole name, or all groups may be posted to."""
        return self.post is None or compile_patterns(self.post).match(group)

    @property
    def visible(self) -> Callable[[str], bool] | None:
        """A function that says whether this user may see the group of a given name; None for all groups."""
        return None if self.groups is None else compile_patterns(self.groups).match

    def require_group(self, group: str) -> None:
        """Raise `CommandError` with ``FORBIDDEN`` unless this user may join `group`."""
        if not self.may_join(group):
            raise CommandError(ErrorCode.FORBIDDEN, f'Your rights ("groups") do not allow the group "{group}".')

    def require_post(self, group: str) -> None:
        """Raise `CommandError` with ``FORBIDDEN`` unless this user may post to `group`; joining it is another right."""
        if not self.may_post(group):
            text = f'You may not post to the group "{group}": your rights ("post") allow other groups only.'
            raise CommandError(ErrorCode.FORBIDDEN, text)

    def require_private(self) -> None:
        """Raise `CommandError` with ``FORBIDDEN`` unless this user may send private messages."""
        if not self.private:
            text = 'Your rights do not allow private messages ("private": false): post to the joined group.'
            raise CommandError(ErrorCode.FORBIDDEN, text)

    def require_server(self) -> None:
        """Raise `CommandError` with ``FORBIDDEN`` unless this is a server token."""
        if not self.server:
            raise CommandError(ErrorCode.FORBIDDEN, 'This needs a server token, with the claim "role": "server".')
