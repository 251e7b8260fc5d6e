"""Prometheus metrics. The node counts in plain integers; this module reads and names them when a scraper asks.

No label contains client input (no group, user or address), so the number of series is bounded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from hubbub.counters import LAG_BOUNDS
from hubbub.hooks import RemoteApp
from hubbub.node import Node


def metrics_endpoint(node: Node) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint for the metrics of `node` and of the process. It has a registry of its own."""
    registry = CollectorRegistry()
    registry.register(_NodeCollector(node))
    ProcessCollector(registry=registry)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return metrics


def _remote(app: RemoteApp) -> Iterator[Metric]:
    """Return how it is to reach an app that is asked over HTTP."""
    text = "Whether the app of hooks has not answered lately: 1 or 0."
    yield GaugeMetricFamily("hubbub_hooks_away", text, app.away)
    text = "Joins and posts that went on without an answer of the app, because hooks_away is allow."
    yield CounterMetricFamily("hubbub_hooks_allowed", text, app.allowed)
    text = "Leaves and disconnects that the app has not been told of yet."
    yield GaugeMetricFamily("hubbub_hooks_untold", text, app.untold)
    yield GaugeMetricFamily("hubbub_hooks_untold_bytes", "What they take in memory.", app.untold_bytes)
    text = "Leaves and disconnects that the app will never be told of: too many, or too old."
    yield CounterMetricFamily("hubbub_hooks_dropped", text, app.dropped)
    text = "Further attempts to tell the app of leaves and disconnects."
    yield CounterMetricFamily("hubbub_hooks_retries", text, app.retried)


class _NodeCollector(Collector):
    """Reads the state and the counters of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._version = version("hubbub")

    def describe(self) -> list[Metric]:
        """Return nothing: the registry need not collect in advance to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return every metric with its current value."""
        yield from self._state()
        yield from self._totals()
        yield from self._by_label()
        yield from self._hooks()
        yield self._lag()

    def _state(self) -> Iterator[Metric]:
        node, fanout = self._node, self._node.fanout
        info = GaugeMetricFamily(
            "hubbub_info",
            "Always 1; the labels name the version, the node, and the tier: how connections come to it.",
            labels=["version", "node", "tier"],
        )
        info.add_metric([self._version, node.node_id, str(node.tier)], 1)
        yield info
        yield GaugeMetricFamily("hubbub_ready", "Whether new connections are served: 1 or 0.", node.ready)
        tasks = len(asyncio.all_tasks())
        yield GaugeMetricFamily(
            "hubbub_tasks", "Tasks of the event loop, including the one that answers this request.", tasks
        )
        yield GaugeMetricFamily("hubbub_backend_ready", "Whether the backend answers: 1 or 0.", node.backend.ready)
        yield GaugeMetricFamily("hubbub_connections", "WebSocket connections, identified or not.", len(node.sessions))
        waiting = node.admission.waiting
        yield GaugeMetricFamily("hubbub_waiting_connections", "Connections that wait for admission.", waiting)
        yield GaugeMetricFamily(
            "hubbub_admission_rate", "Connections admitted per second while others wait.", node.admission.rate
        )
        yield GaugeMetricFamily(
            "hubbub_identified_connections", "Connections that are identified.", len(fanout.connections)
        )
        yield GaugeMetricFamily("hubbub_users", "Distinct users with a connection here.", len(fanout.users))
        yield GaugeMetricFamily("hubbub_groups", "Groups with a connection here.", len(fanout.groups))
        yield GaugeMetricFamily("hubbub_views", "Different live queries.", len(node.views))
        yield GaugeMetricFamily("hubbub_view_bytes", "Bytes that are reserved for them.", node.views.bytes)
        yield GaugeMetricFamily("hubbub_watches", "Live queries of all connections.", node.views.watches)
        yield GaugeMetricFamily("hubbub_feed_readers", "Requests that read the feed.", node.feed_readers)

    def _totals(self) -> Iterator[Metric]:
        counters = self._node.counters
        for name, text, value in [
            ("messages_published", "Messages posted to groups.", counters.posts + counters.published),
            ("messages_delivered", "Connections that messages to groups were delivered to.", counters.delivered),
            ("privates_delivered", "Connections that private messages were delivered to.", counters.privates),
            ("notices", "Join and leave notices sent to groups.", self._node.backend.notices),
            ("queue_cuts", "Connections closed because they read too slowly.", counters.queue_cuts),
            ("view_evaluations", "How often live queries were evaluated.", counters.view_evaluations),
            ("view_seconds", "Seconds that this took.", counters.view_seconds),
            ("view_events", "Events of live queries sent, one for each watcher.", counters.view_events),
            ("view_skips", "Those of them with the whole list, because the watcher was slow.", counters.views_skipped),
            ("view_delays", "How often live queries had to wait because view_cpu was used up.", counters.views_put_off),
        ]:
            yield CounterMetricFamily(f"hubbub_{name}", text, value)

    def _by_label(self) -> Iterator[Metric]:
        counters = self._node.counters
        commands = CounterMetricFamily(
            "hubbub_commands", "Commands, by outcome: ok or an error code.", labels=["command", "outcome"]
        )
        for labels, count in (counters.commands + Counter({("post", "ok"): counters.posts})).items():
            commands.add_metric(labels, count)
        yield commands
        refused = CounterMetricFamily("hubbub_handshakes_refused", "WebSocket handshakes refused.", labels=["reason"])
        for reason, count in counters.refused.items():
            refused.add_metric([reason], count)
        yield refused
        closes = CounterMetricFamily("hubbub_closes", "WebSocket connections that ended.", labels=["code"])
        for code, count in counters.closes.items():
            closes.add_metric([code], count)
        yield closes
        requests = CounterMetricFamily(
            "hubbub_http_requests", "HTTP requests answered.", labels=["method", "route", "status"]
        )
        for (method, route, status), count in counters.requests.items():
            requests.add_metric([method, route, str(status)], count)
        yield requests

    def _hooks(self) -> Iterator[Metric]:
        """Return what an app's hooks did; the patterns are the app's, so their number is bounded."""
        hooks, counters = self._node.hooks, self._node.counters
        if hooks is None:
            return
        yield GaugeMetricFamily("hubbub_hooks_running", "Hooks of the app that run.", hooks.running)
        yield GaugeMetricFamily("hubbub_hooks_waiting", "Hooks of the app that wait for their turn.", hooks.waiting)
        calls = CounterMetricFamily(
            "hubbub_hook_calls",
            "Calls of the app's hooks, by outcome: ok, denied, failed, timeout, busy or away.",
            labels=["hook", "pattern", "outcome"],
        )
        for called, count in counters.hooks.items():
            calls.add_metric(called, count)
        yield calls
        seconds = CounterMetricFamily(
            "hubbub_hook_seconds", "Seconds that the app's hooks took.", labels=["hook", "pattern"]
        )
        for hook, spent in counters.hook_seconds.items():
            seconds.add_metric(hook, spent)
        yield seconds
        if hooks.remote is not None:
            yield from _remote(hooks.remote)

    def _lag(self) -> Metric:
        counters, total = self._node.counters, 0
        buckets = []
        for bound, count in zip([*map(str, LAG_BOUNDS), "+Inf"], counters.lag, strict=True):
            total += count
            buckets.append((bound, float(total)))
        text = "How late the event loop ran a timer that fires four times a second."
        return HistogramMetricFamily("hubbub_loop_lag_seconds", text, buckets=buckets, sum_value=counters.lag_sum)
