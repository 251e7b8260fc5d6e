"""Which hooks run now and which wait: at most so many run, and users take turns. Pure.

A user with many connections could otherwise fill the queue. So each user has a queue of its own, and whenever a place
becomes free, the user who has waited longest gets it. A connection that is not identified yet counts as a user.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

Start = Callable[[], bool]
"""Starts what has waited; returns False if nobody needs it any more."""


class Turns:
    """The places for hooks.

    Args:
        most: Hooks that run at the same time.

    Attributes:
        running: How many run.
        waiting: How many wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: OrderedDict[str, deque[Start]] = OrderedDict()
        self.running = 0
        self.waiting = 0

    def take(self) -> bool:
        """Take a place, if one is free; otherwise return False, and call `wait`."""
        if self.running >= self._most:
            return False
        self.running += 1
        return True

    def wait(self, user_id: str, start: Start) -> None:
        """Call `start` when it is the turn of this user; what it starts has a place then."""
        self._queues.setdefault(user_id, deque()).append(start)
        self.waiting += 1

    def done(self) -> None:
        """Give a place back; the next one that waits gets it."""
        self.running -= 1
        if not self._queues:
            return
        while self._queues and self.running < self._most:
            user_id, queue = self._queues.popitem(last=False)
            start = queue.popleft()
            if queue:
                self._queues[user_id] = queue  # behind the others
            self.waiting -= 1
            self.running += 1
            if not start():
                self.running -= 1
