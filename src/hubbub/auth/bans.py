"""Which users are banned after a kick, and which tickets are no longer accepted, in the memory of one process. Pure.

Memory is bounded: `MAX_BANS` banned users, as many users whose tickets were withdrawn, and `MAX_SPENT` used tickets.
Further bans are refused. A ticket that can no longer be told from a used one is refused, and its owner connects with a
token.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

from hubbub.errors import CommandError, ErrorCode

MAX_BAN = 604_800
"""Most seconds of a ban: a week. For a longer one, stop issuing tokens to that user."""

MAX_BANS = 10_000
"""Most users that are banned at the same time; on Valkey, in each shard."""

MAX_SPENT = 100_000
"""Most tickets that are remembered as used."""

TICKET_LIFE = 300.0
"""Seconds after which every ticket has expired, so that nothing about it must be remembered."""


class TicketUse(NamedTuple):
    """A ticket that is about to be used."""

    id: str
    """The ticket's unique id."""
    lasts: float
    """Seconds until it expires, at most `TICKET_LIFE`."""


def kept_out(left: float) -> CommandError:
    """Return the error for a user who is banned for another `left` seconds."""
    text = f"This user was disconnected and is banned: connect again in {math.ceil(left)} s."
    return CommandError(ErrorCode.FORBIDDEN, text)


def too_many_bans() -> CommandError:
    """Return the error for a ban beyond `MAX_BANS`; nobody was disconnected."""
    text = f"{MAX_BANS} users are banned already: end a ban with for=0, or disconnect without a ban."
    return CommandError(ErrorCode.INVALID_REQUEST, text)


def ticket_is_dead() -> CommandError:
    """Return the error for a ticket that was used, or whose user was kicked after it was issued."""
    return CommandError(ErrorCode.UNAUTHORIZED, "The ticket has been used or withdrawn: connect with a token.")


class Bans:
    """The bans and tickets of one process. Times are seconds on one clock that never goes back."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._withdrawn: OrderedDict[str, float] = OrderedDict()  # user -> when all earlier tickets have expired
        self._spent: OrderedDict[str, float] = OrderedDict()  # ticket -> when it may be forgotten
        self._all_dead_until = -math.inf

    def require_free(self, user_id: str, now: float) -> None:
        """Raise `CommandError` with ``FORBIDDEN`` if the user is banned."""
        until = self._until.get(user_id)
        if until is not None:
            if until > now:
                raise kept_out(until - now)
            del self._until[user_id]

    def put(self, user_id: str, seconds: float, now: float) -> None:
        """Ban a user for `seconds` from now on, in place of any earlier ban; 0 ends it.

        Raises:
            CommandError: ``INVALID_REQUEST``, `MAX_BANS` users are banned already.
        """
        if not seconds:
            self._until.pop(user_id, None)
            return
        if user_id not in self._until and len(self._until) >= MAX_BANS:
            self.sweep(now)
            if len(self._until) >= MAX_BANS:
                raise too_many_bans()
        self._until[user_id] = now + seconds

    def withdraw(self, user_id: str, now: float) -> None:
        """Refuse all tickets that the user may have from now on."""
        self._withdrawn[user_id] = now + TICKET_LIFE
        self._withdrawn.move_to_end(user_id)
        if len(self._withdrawn) > MAX_BANS:
            self._all_dead_until = self._withdrawn.popitem(last=False)[1]

    def spend(self, ticket: TicketUse, user_id: str, now: float) -> None:
        """Use up a ticket. Raises `CommandError` with ``UNAUTHORIZED`` if it was used or withdrawn."""
        self._forget_tickets(now)
        full = len(self._spent) >= MAX_SPENT
        if full or now < self._all_dead_until or user_id in self._withdrawn or ticket.id in self._spent:
            raise ticket_is_dead()
        self._spent[ticket.id] = now + TICKET_LIFE  # the same for all, so that they are forgotten in this order

    def sweep(self, now: float) -> None:
        """Forget bans and tickets whose time is over."""
        for user_id in [user_id for user_id, until in self._until.items() if until <= now]:
            del self._until[user_id]
        self._forget_tickets(now)

    def _forget_tickets(self, now: float) -> None:
        for kept in (self._withdrawn, self._spent):
            while kept and next(iter(kept.values())) <= now:
                kept.popitem(last=False)
