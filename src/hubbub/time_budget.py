"""How much time the frames of one user may take before those of others have their turn. Pure: time is passed in.

Each user has one budget per node, for all connections together; those who have not said who they are share one. Work is
charged to it, measured or estimated. A budget that is used up is filled by the time that passes, so a user may have all
the time that nobody else needs, but no more than `SLICE` in one turn of the loop. Whoever has used it up *waits*: the
transport stops to read, keeps what it has read, and goes on when `Budgets` calls, in a later turn. Nothing is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

SLICE = 0.002
"""Seconds of work for one user in one turn; the last frame may exceed it."""

TURN = 0.004
"""Seconds of work for all who wait, in one turn."""

FRAME = 0.000_015
"""Seconds that a short frame is taken to cost: measuring it would cost as much as its decoding."""

DELIVERY = 0.000_001
"""Seconds that a post costs for each connection that hears it, when posts share their writes."""

REST = 0.001
"""Seconds until the next look, if nobody who waits may go on yet."""

USER_BYTES = 4 * 1_048_576
"""Most bytes of one user's commands that wait for the backend, or for commands before them."""

UNIDENTIFIED_BYTES = 32 * 1_048_576
"""The same for all connections together that have not said who they are."""

NEVER = -1


class Unread(Protocol):
    """Where bytes wait until a connection reads them."""

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait."""
        ...


class Budget:
    """The budget of one user.

    Attributes:
        left: Seconds left; none if it is not more than zero, unless `Budgets.allows` says otherwise.
        bytes: How many bytes of commands wait.
        most_bytes: How many may.
        slow: The connections that have not read what was written to them, and where that waits.
        user_id: Whose it is.
    """

    __slots__ = ("bytes", "connections", "filled", "left", "most_bytes", "slow", "turn", "user_id", "waiting")

    def __init__(self, user_id: str, most_bytes: int, now: float) -> None:
        self.user_id = user_id
        self.most_bytes = most_bytes
        self.bytes = 0
        self.left = SLICE
        self.filled = now
        self.turn = NEVER
        self.connections = 0
        self.waiting: deque[Callable[[], object]] = deque()
        self.slow: dict[object, Unread] = {}

    def unread(self) -> int:
        """Return how many bytes wait for all slow connections of the user together."""
        return sum(waiting.get_write_buffer_size() for waiting in self.slow.values())


class Budgets:
    """The budgets of a node.

    Args:
        schedule: Calls its second argument once, after so many seconds, and after the sockets were looked at.
        now: Seconds; may stand still within a turn.
        clock: Seconds, and exact: how long work has taken.

    Attributes:
        unidentified: The budget of those who have not said who they are.
        pauses: How often a connection had to wait.
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
        self.unidentified = Budget("", UNIDENTIFIED_BYTES, now())
        self.pauses = 0
        self._of: dict[str, Budget] = {}
        self._line: deque[Budget] = deque()
        self._turn = 0
        self._scheduled = False

    def enter(self, user_id: str) -> Budget:
        """Return the budget of a user, for a connection more; `leave` gives it back."""
        budget = self._of.get(user_id)
        if budget is None:
            budget = self._of[user_id] = Budget(user_id, USER_BYTES, self._now())
        budget.connections += 1
        return budget

    def leave(self, budget: Budget) -> None:
        """Forget the budget with the last connection of its user."""
        budget.connections -= 1
        if not budget.connections and self._of.get(budget.user_id) is budget:
            del self._of[budget.user_id]

    def __len__(self) -> int:
        """Return how many users have a budget."""
        return len(self._of)

    def allows(self, budget: Budget) -> bool:
        """Fill a budget with the time that has passed, once a turn; return whether there is something left."""
        if budget.turn != self._turn:
            budget.turn = self._turn
            now = self._now()
            budget.left = min(SLICE, budget.left + now - budget.filled)
            budget.filled = now
            self._wake(0)
        return budget.left > 0

    def wait(self, budget: Budget, go_on: Callable[[], object]) -> None:
        """Call `go_on` once, in a later turn, when `budget` allows; those of one budget in the order of the calls."""
        self.pauses += 1
        if not budget.waiting:
            self._line.append(budget)
        budget.waiting.append(go_on)
        self._wake(0)

    def _wake(self, seconds: float) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._schedule(seconds, self._serve)

    def _serve(self) -> None:
        """Begin a turn: let those go on who wait, one user after the other."""
        self._scheduled = False
        self._turn += 1
        end, served = self.clock() + TURN, False
        for _ in range(len(self._line)):
            budget = self._line.popleft()
            # Whoever has to wait again stands behind the others, and comes in this turn only if there is time left.
            turns = len(budget.waiting)
            while turns and self.allows(budget):
                turns -= 1
                served = True
                budget.waiting.popleft()()
            if budget.waiting and budget not in self._line:
                self._line.append(budget)
            if self.clock() >= end:
                break
        if self._line:
            self._wake(0 if served else REST)
