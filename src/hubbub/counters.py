"""What a node has done since it started, as plain integers that are added to where things happen.

Nothing here knows of Prometheus: `hubbub.transports.http.metrics` reads these numbers when somebody asks for them,
so that counting costs one addition and nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the buckets for the loop's lag, in seconds."""


class Counters:
    """The numbers of one node. They only ever rise.

    Attributes:
        posts: Posts to the sender's own group that were done at once, on the shortest path.
        published: All other messages to groups: posts that had to wait, and those of the HTTP API.
        delivered: Connections that messages to groups were handed to.
        privates: Connections that private messages were handed to.
        queue_cuts: Connections closed because they read too slowly.
        commands: Commands by name and outcome (``"ok"`` or an error code), those in `posts` not among them.
        refused: WebSocket handshakes refused, by error code.
        closes: WebSocket connections that ended, by close code; ``"other"`` for codes that a client made up.
        requests: HTTP requests answered, by method, route and status.
        lag: How often the loop was late by at most the bound in the same place of `LAG_BOUNDS`; last, by more.
        lag_sum: By how much it was late in all, seconds.
    """

    __slots__ = (
        "closes",
        "commands",
        "delivered",
        "lag",
        "lag_sum",
        "posts",
        "privates",
        "published",
        "queue_cuts",
        "refused",
        "requests",
    )

    def __init__(self) -> None:
        self.posts = 0
        self.published = 0
        self.delivered = 0
        self.privates = 0
        self.queue_cuts = 0
        self.commands: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter()
        self.closes: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.lag = [0] * (len(LAG_BOUNDS) + 1)
        self.lag_sum = 0.0

    def late(self, seconds: float) -> None:
        """Count that the loop came to something `seconds` after its time."""
        self.lag[bisect_left(LAG_BOUNDS, seconds)] += 1
        self.lag_sum += seconds
