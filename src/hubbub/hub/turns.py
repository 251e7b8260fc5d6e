"""Which hooks run now and which wait: at most so many run, and users take turns. Pure.

A user with many connections could otherwise fill the queue. So each user has a queue of its own, and whenever a place
becomes free, the user who has waited longest gets it. Connections that are not identified yet cost an attacker nothing,
so they share one queue, which gets every second place: a flood of them does not keep users waiting, nor the reverse.
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
        self._users: OrderedDict[str, deque[Start]] = OrderedDict()
        self._unidentified: deque[Start] = deque()
        self._users_next = True
        self.running = 0
        self.waiting = 0

    def take(self) -> bool:
        """Take a place, if one is free; otherwise return False, and call `wait`."""
        if self.running >= self._most:
            return False
        self.running += 1
        return True

    def wait(self, user_id: str | None, start: Start) -> None:
        """Call `start` when it is the turn of this user, or of a connection without one; it has a place then."""
        queue = self._unidentified if user_id is None else self._users.setdefault(user_id, deque())
        queue.append(start)
        self.waiting += 1

    def done(self) -> None:
        """Give a place back; the next one that waits gets it."""
        self.running -= 1
        while self.waiting and self.running < self._most:
            start = self._next()
            self.waiting -= 1
            self.running += 1
            if not start():
                self.running -= 1

    def _next(self) -> Start:
        if not self._unidentified or (self._users and self._users_next):
            self._users_next = False
            user_id, queue = self._users.popitem(last=False)
            start = queue.popleft()
            if queue:
                self._users[user_id] = queue  # behind the others
            return start
        self._users_next = True
        return self._unidentified.popleft()
