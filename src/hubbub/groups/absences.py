"""Members who were disconnected by a restart and are expected back: leaving and rejoining are not announced. Pure.

A server that stops tells its connections to reconnect, as a rule to another node. Each of them is then an *absence* of
its user from its group: no notice says that the connection left, and if the user rejoins the group in time, no notice
says so either. Only a user who stays away longer is announced as disconnected.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator

from hubbub.messages import UserRow

ONLINE = ""
"""In place of a group, which has a name: the user of a connection, in a group or not, is expected online again."""


class Absences:
    """The absences from all groups, in the order in which they began."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, UserRow], float] = OrderedDict()
        self._of: dict[tuple[str, str], list[UserRow]] = {}
        self._in: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many absences there are."""
        return len(self._until)

    def begin(self, group: str, user: UserRow, until: float) -> None:
        """Expect the user of a connection back in `group` until then; `until` never decreases from call to call."""
        self.cancel(group, user)
        self._until[group, user] = until
        self._of.setdefault((group, user.user_id), []).append(user)
        self._in[group] += 1

    def end(self, group: str, user_id: str) -> bool:
        """Return whether a user who joins `group` was expected back; if so, end the oldest of its absences."""
        rows = self._of.get((group, user_id))
        if not rows:
            return False
        self._drop(group, rows[0])
        return True

    def cancel(self, group: str, user: UserRow) -> None:
        """End the absence of a connection that has left by itself after all, which was announced."""
        if (group, user) in self._until:
            self._drop(group, user)

    def expects(self, group: str, user_id: str) -> bool:
        """Return whether the user is expected back in `group`."""
        return (group, user_id) in self._of

    def expects_anyone(self, group: str) -> bool:
        """Return whether any user is expected back in `group`."""
        return group in self._in

    def users(self) -> Iterator[tuple[str, str]]:
        """Return the groups and users of all absences; none may begin or end meanwhile."""
        return iter(self._of)

    def expire(self, now: float) -> Iterator[tuple[str, UserRow]]:
        """Remove the absences that are over at `now`, and yield each when it is removed, so before the next is.

        Those that begin meanwhile are left.
        """
        for _ in range(len(self._until)):
            if not self._until or next(iter(self._until.values())) > now:
                return
            group, user = next(iter(self._until))
            self._drop(group, user)
            yield group, user

    def _drop(self, group: str, user: UserRow) -> None:
        del self._until[group, user]
        rows = self._of[group, user.user_id]
        rows.remove(user)
        if not rows:
            del self._of[group, user.user_id]
        self._in[group] -= 1
        if not self._in[group]:
            del self._in[group]
