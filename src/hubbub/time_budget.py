"""How much of the loop's time the frames of one user may take before other users have their turn. Pure.

Each user has one budget per node, for all connections together; unidentified connections share one. Work is charged to
it, measured or estimated. The budget refills as time passes, so a user can have all the time that nobody else needs,
but no more than `SLICE` in one turn of the event loop. A connection whose budget is used up is *paused*: the transport
stops reading, keeps what it has read, and continues when `TimeBudgets` calls it, in a later turn. Nothing is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

SLICE = 0.002
"""Seconds of work for one user in one turn of the loop; the last frame may exceed it."""

TURN = 0.004
"""Seconds of work for all paused connections together, in one turn."""

FRAME = 0.000_015
"""Seconds that a short frame is charged: measuring it would cost as much as decoding it."""

DELIVERY = 0.000_001
"""Seconds that a post is charged for each recipient, when posts share their writes."""

FEW = 8
"""Recipients whose deliveries `FRAME` includes."""

REST = 0.001
"""Seconds until the next turn, if no paused connection can continue yet."""

USER_BYTES = 4 * 1_048_576
"""Most bytes of one user's commands that are running or queued."""

UNIDENTIFIED_BYTES = 32 * 1_048_576
"""The same for all unidentified connections together."""

NO_TURN = -1


class Unread(Protocol):
    """Where bytes wait until a client reads them."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        ...


class TimeBudget:
    """The budget of one user.

    Attributes:
        left: Seconds left. At zero or below it is used up, unless `TimeBudgets.allows` refills it.
        bytes: Bytes of commands that are running or queued.
        most_bytes: The limit of `bytes`.
        slow: The connections that have not read everything, each with its unread bytes.
        user_id: The user.
        watches: How many live queries the user has.
    """

    __slots__ = (
        "bytes",
        "connections",
        "filled",
        "left",
        "most_bytes",
        "slow",
        "turn",
        "user_id",
        "waiting",
        "watches",
    )

    def __init__(self, user_id: str, most_bytes: int, now: float) -> None:
        self.user_id = user_id
        self.most_bytes = most_bytes
        self.bytes = 0
        self.left = SLICE
        self.filled = now
        self.turn = NO_TURN
        self.connections = 0
        self.waiting: deque[Callable[[], object]] = deque()
        self.slow: dict[object, Unread] = {}
        self.watches = 0

    def unread(self) -> int:
        """Return how many bytes wait for all slow connections of the user together."""
        return sum(waiting.get_write_buffer_size() for waiting in self.slow.values())


class TimeBudgets:
    """The budgets of a node.

    Args:
        schedule: Calls its second argument once, after so many seconds, and after the sockets were looked at.
        now: Seconds; may stand still within a turn of the loop.
        clock: Seconds, precise enough to measure work.

    Attributes:
        unidentified: The budget that unidentified connections share.
        pauses: How often a connection was paused.
    """

    def __init__(
        self,
        schedule: Callable[[float, Callable[[], None]], object],
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._schedule = schedule
        self._now = now
        self.clock = clock
        self.unidentified = TimeBudget("", UNIDENTIFIED_BYTES, now())
        self.pauses = 0
        self._by_user: dict[str, TimeBudget] = {}
        self._paused: deque[TimeBudget] = deque()
        self._turn = 0
        self._scheduled = False

    def enter(self, user_id: str) -> TimeBudget:
        """Return the budget of a user for one more connection; `leave` gives it back."""
        budget = self._by_user.get(user_id)
        if budget is None:
            budget = self._by_user[user_id] = TimeBudget(user_id, USER_BYTES, self._now())
        budget.connections += 1
        return budget

    def leave(self, budget: TimeBudget) -> None:
        """Release the budget for one connection; with the user's last connection it is forgotten."""
        budget.connections -= 1
        if not budget.connections and self._by_user.get(budget.user_id) is budget:
            del self._by_user[budget.user_id]

    def __len__(self) -> int:
        """Return how many users have a budget."""
        return len(self._by_user)

    def allows(self, budget: TimeBudget) -> bool:
        """Refill a budget with the time that has passed, once a turn; return whether anything is left."""
        if budget.turn != self._turn:
            budget.turn = self._turn
            now = self._now()
            budget.left = min(SLICE, budget.left + now - budget.filled)
            budget.filled = now
            self._wake(0)
        return budget.left > 0

    def wait(self, budget: TimeBudget, go_on: Callable[[], object]) -> None:
        """Call `go_on` once, in a later turn, when `budget` allows it; calls of one budget keep their order."""
        self.pauses += 1
        if not budget.waiting:
            self._paused.append(budget)
        budget.waiting.append(go_on)
        self._wake(0)

    def _wake(self, seconds: float) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(seconds, self._serve)

    def _serve(self) -> None:
        """Begin a turn: let paused connections continue, one user after the other."""
        self._scheduled = False
        self._turn += 1
        end, served = self.clock() + TURN, False
        for _ in range(len(self._paused)):
            budget = self._paused.popleft()
            # A connection that is paused again goes behind the others; in this turn it continues only if time is left.
            turns = len(budget.waiting)
            while turns and self.allows(budget):
                turns -= 1
                served = True
                budget.waiting.popleft()()
            if budget.waiting and budget not in self._paused:
                self._paused.append(budget)
            if self.clock() >= end:
                break
        if self._paused:
            self._wake(0 if served else REST)
