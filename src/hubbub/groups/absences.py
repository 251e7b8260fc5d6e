"""Who was sent away and is expected back, so that nobody hears of a going and a coming that mean nothing. Pure.

A server that stops tells its connections to come back, as a rule to another node. Until then each of them is an
*absence* of its user from its group: the connection goes without a notice, and if the user comes back in time, that is
without one too. Only who stays away for longer has gone.
"""

from __future__ import annotations

from collections import OrderedDict

from hubbub.messages import UserRow


class Absences:
    """The absences from all groups, in the order in which they began."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, UserRow], float] = OrderedDict()
        self._of: dict[tuple[str, str], list[UserRow]] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._until)

    def begin(self, group: str, user: UserRow, until: float) -> None:
        """Expect the user of a connection back in `group`; `until` never lies before that of an earlier call."""
        self.cancel(group, user)
        self._until[group, user] = until
        self._of.setdefault((group, user.user_id), []).append(user)

    def end(self, group: str, user_id: str) -> bool:
        """A connection of the user has come to `group`: whether one was expected. If so, the oldest absence is over."""
        rows = self._of.get((group, user_id))
        if not rows:
            return False
        self._drop(group, rows[0])
        return True

    def cancel(self, group: str, user: UserRow) -> None:
        """The connection has gone by itself after all, and that was said."""
        if (group, user) in self._until:
            self._drop(group, user)

    def over(self, now: float) -> list[tuple[str, UserRow]]:
        """Take out and return those who are not expected any more."""
        found = []
        while self._until and next(iter(self._until.values())) <= now:
            group, user = next(iter(self._until))
            self._drop(group, user)
            found.append((group, user))
        return found

    def _drop(self, group: str, user: UserRow) -> None:
        del self._until[group, user]
        rows = self._of[group, user.user_id]
        rows.remove(user)
        if not rows:
            del self._of[group, user.user_id]
