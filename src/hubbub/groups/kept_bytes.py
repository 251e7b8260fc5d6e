"""How many bytes are kept because of each user: messages in histories and inboxes, keys of posts. Pure.

A user who posts to a history is charged with the bytes by which it grows; what is dropped to make room for the new
message counts against that. So a user who posts to few groups, however much, is charged at most what those groups keep.
An account starts again from zero after twice the window; by then everything in it has been dropped. Beyond the limit
posts are refused: to drop older messages instead would take history from other users.
"""

from __future__ import annotations

from hubbub.errors import CommandError, ErrorCode

MOST_ACCOUNTS = 50_000
"""Most accounts. With one more, all accounts start again from zero, so that the accounts themselves are bounded."""


class KeptBytes:
    """The accounts of all users of a process.

    Args:
        most: Bytes that may be kept because of one user; 0 for no limit.
        period: Seconds after which all accounts start again from zero.

    Attributes:
        charged: The bytes of each account; accounts without bytes are not in it.
        exhausted: The users for whom nothing more may be kept.
    """

    def __init__(self, most: int, period: float) -> None:
        self.most = most
        self._period = period
        self._begun = 0.0
        self.charged: dict[str, int] = {}
        self.exhausted: set[str] = set()

    def refusal(self, now: float) -> CommandError:
        """Return the error for a user who has reached the limit, at `now`, in seconds."""
        return refusal(self.most, self._begun + self._period - now)

    def charge(self, user: str, size: int) -> None:
        """Note that `size` more bytes are kept because of the user, or fewer if it is negative."""
        before = self.charged.get(user, 0)
        charged = before + size
        if charged > 0:
            if not before and len(self.charged) >= MOST_ACCOUNTS:
                self._begin_anew()
            self.charged[user] = charged
        elif before:
            del self.charged[user]
        if charged >= self.most > 0:
            self.exhausted.add(user)
        elif self.exhausted:
            self.exhausted.discard(user)

    def sweep(self, now: float) -> None:
        """Start all accounts again from zero if the period is over at `now`, in seconds."""
        if now - self._begun >= self._period:
            self._begun = now
            self._begin_anew()

    def _begin_anew(self) -> None:
        self.charged.clear()
        self.exhausted.clear()


def refusal(most: int, seconds: float) -> CommandError:
    """Return the error for a user who has reached the limit, and whose account starts again in so many seconds."""
    return CommandError(
        ErrorCode.RATE_LIMITED,
        f"The history of your posts has reached the limit for one user, {most} bytes "
        f'("history_user"). Post less, to fewer groups and users, or wait for up to {max(1, round(seconds))} s.',
    )
