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

    def spent(self, user: str) -> bool:
        """Return whether nothing more may be kept because of the user."""
        return self._charged.get(user, 0) >= self.most > 0

    def refusal(self, now: float) -> CommandError:
        """Return the error for a user whose budget is spent, at `now`, seconds."""
        return refusal(self.most, self._begun + self._period - now)

    def charge(self, user: str, size: int) -> None:
        """Note that `size` more bytes are kept because of the user, or fewer if it is negative."""
        charged = self._charged.get(user, 0) + size
        if charged > 0:
            if len(self._charged) >= MOST_ACCOUNTS and user not in self._charged:
                self._charged.clear()
            self._charged[user] = charged
        else:
            self._charged.pop(user, None)

    def sweep(self, now: float) -> None:
        """Begin all accounts anew if the time has come, at `now`, seconds."""
        if now - self._begun >= self._period:
            self._begun = now
            self._charged.clear()


def refusal(most: int, seconds: float) -> CommandError:
    """Return the error for a user whose budget is spent, until so many seconds from now."""
    return CommandError(
        ErrorCode.RATE_LIMITED,
        f"The server keeps {most} bytes of what you have posted for those who come back, and no more for one user "
        f'("history_user"). Post less, to fewer groups and users, or wait for up to {max(1, round(seconds))} s.',
    )
