"""How many bytes are kept because of each user: messages in histories and inboxes, keys of posts. Pure.

Who adds to a history is charged with what that grows by, and is given it back when entries go to make room for its own
newer ones. So who posts to few groups, however much, is charged with what these keep at most. An account begins anew
after twice the window; by then what was in it has been forgotten. Beyond the bound posts are refused: dropping what was
kept before would take history from others, who did nothing.
"""

from __future__ import annotations

from hubbub.errors import CommandError, ErrorCode

MOST_ACCOUNTS = 50_000
"""Users with an account; if there are more, all accounts begin anew, so that the accounts themselves are bounded."""


class Budgets:
    """The accounts of all users of a process.

    Args:
        most: Bytes that one user may have kept; 0 for any number.
        period: Seconds after which all accounts begin anew.
    """

    def __init__(self, most: int, period: float) -> None:
        self.most = most
        self._period = period
        self._begun = 0.0
        self._charged: dict[str, int] = {}
        self.exhausted: set[str] = set()
        """The users for whom nothing more may be kept."""

    def refusal(self, now: float) -> CommandError:
        """Return the error for a user whose budget is spent, at `now`, seconds."""
        return refusal(self.most, self._begun + self._period - now)

    def charge(self, user: str, size: int) -> None:
        """Note that `size` more bytes are kept because of the user, or fewer if it is negative."""
        before = self._charged.get(user, 0)
        charged = before + size
        if charged > 0:
            if not before and len(self._charged) >= MOST_ACCOUNTS:
                self._begin_anew()
            self._charged[user] = charged
        elif before:
            del self._charged[user]
        if charged >= self.most > 0:
            self.exhausted.add(user)
        elif self.exhausted:
            self.exhausted.discard(user)

    def sweep(self, now: float) -> None:
        """Begin all accounts anew if the time has come, at `now`, seconds."""
        if now - self._begun >= self._period:
            self._begun = now
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._charged.clear()
        self.exhausted.clear()


def refusal(most: int, seconds: float) -> CommandError:
    """Return the error for a user whose budget is spent, until so many seconds from now."""
    return CommandError(
        ErrorCode.RATE_LIMITED,
        f"The server keeps {most} bytes of what you have posted for those who come back, and no more for one user "
        f'("history_user"). Post less, to fewer groups and users, or wait for up to {max(1, round(seconds))} s.',
    )
