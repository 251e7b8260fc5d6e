"""What a node has done since it started, as plain integers.

The code that does something adds to them directly, so counting costs one addition. `hubbub.transports.http.metrics`
turns them into Prometheus metrics when these are requested.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict

LAG_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the histogram of the loop's lag, in seconds."""


class Counters:
    """The counters of one node. They never decrease.

    Attributes:
        posts: Posts to the sender's own group that were executed at once, by `Commands.post_now`.
        published: All other messages to groups: posts that had to wait, and posts over HTTP.
        delivered: Deliveries of group messages: one for each message and connection.
        privates: Deliveries of private messages on this node.
        queue_cuts: Connections closed because they read too slowly.
        commands: Commands by name and outcome (``"ok"`` or an error code), without those in `posts`.
        refused: WebSocket handshakes refused, by error code.
        closes: WebSocket connections that ended, by close code; ``"other"`` for codes that we do not know.
        requests: HTTP requests answered, by method, route and status.
        hooks: Calls of an app's hooks, by event, pattern and outcome: ``"ok"``, ``"denied"``, ``"failed"``,
            ``"timeout"``, ``"busy"``, when it had no turn in time, or ``"away"``, when the app cannot be reached.
        hook_seconds: How long they took in all, by event and pattern.
        view_evaluations: How often a view was evaluated.
        view_seconds: How long that took in all; an estimate where the backend waits for a store.
        view_events: Events about views that were sent, one for each watcher.
        views_skipped: How many of them had the whole page, because the watcher had not read everything before.
        views_put_off: How often views that were due had to wait, because the share of CPU time for views was used up.
        lag: How often the loop was late by at most the bound at the same index of `LAG_BOUNDS`; the last one: by more.
        lag_sum: The sum of all lags, in seconds.
    """

    __slots__ = (
        "closes",
        "commands",
        "delivered",
        "hook_seconds",
        "hooks",
        "lag",
        "lag_sum",
        "posts",
        "privates",
        "published",
        "queue_cuts",
        "refused",
        "requests",
        "view_evaluations",
        "view_events",
        "view_seconds",
        "views_put_off",
        "views_skipped",
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
        self.hooks: Counter[tuple[str, str, str]] = Counter()
        self.hook_seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.view_evaluations = 0
        self.view_seconds = 0.0
        self.view_events = 0
        self.views_skipped = 0
        self.views_put_off = 0
        self.lag = [0] * (len(LAG_BOUNDS) + 1)
        self.lag_sum = 0.0

    def late(self, seconds: float) -> None:
        """Count that the loop ran a callback `seconds` later than scheduled."""
        self.lag[bisect_left(LAG_BOUNDS, seconds)] += 1
        self.lag_sum += seconds
