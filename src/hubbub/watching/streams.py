"""The answers over HTTP that go on, by user: they count as connections, and a disconnected user's end. Pure."""

from __future__ import annotations

from collections.abc import Callable

End = Callable[[], None]
"""Ends one answer."""


class Streams:
    """The streams of one node."""

    def __init__(self) -> None:
        self._by_user: dict[str, list[End]] = {}
        self._number = 0  # each new connection asks for it

    def __len__(self) -> int:
        """Return how many there are."""
        return self._number

    def of(self, user_id: str) -> int:
        """Return how many the user has."""
        return len(self._by_user.get(user_id, ()))

    def add(self, user_id: str, end: End) -> None:
        """Count one, which `end` ends."""
        self._by_user.setdefault(user_id, []).append(end)
        self._number += 1

    def remove(self, user_id: str, end: End) -> None:
        """Count one less."""
        own = self._by_user[user_id]
        own.remove(end)
        self._number -= 1
        if not own:
            del self._by_user[user_id]

    def end(self, user_id: str) -> None:
        """End those of a user."""
        for end in self._by_user.get(user_id, ()):
            end()
