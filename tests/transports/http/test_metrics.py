"""The metrics: what they count is what happened, in a format that Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from websockets.exceptions import InvalidStatus

from hubbub.counters import LAG_BOUNDS, Counters
from hubbub.server import Server
from support.clients import Peer, open_peer, server_bearer, token

Peers = Callable[..., Awaitable[Peer]]
Browse = Callable[..., httpx.AsyncClient]


async def read(http: httpx.AsyncClient) -> dict[str, float]:
    """Return the present values, by name and labels as they are written."""
    text = (await http.get("/metrics")).text
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
    }


async def test_connections_groups_and_users(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    await peers(server)
    for guest, group in [("ada", "g"), ("ada", "g"), ("bob", "h"), ("cy", None)]:
        await peers(server, guest=guest, group=group)
    values = await read(http)
    assert values["hubbub_connections"] == 5
    assert values["hubbub_identified_connections"] == 4
    assert values["hubbub_users"] == 3
    assert values["hubbub_groups"] == 2
    assert values["hubbub_ready"] == 1
    assert values["hubbub_backend_ready"] == 1
    assert values["hubbub_notices_total"] == 3  # each join, even if nobody else was there to hear
    assert values["hubbub_commands_total command=connect outcome=ok"] == 4
    assert values["hubbub_commands_total command=join outcome=ok"] == 3


async def test_messages_through_the_api(secured: Server, browse: Browse, peers: Peers) -> None:
    http = browse(secured, headers=server_bearer())
    for _ in range(2):
        await peers(secured, token=token("ada"), group="g")
    await http.post("/v1/groups/g/messages", json={"message": 1})
    await http.post("/v1/groups/nobody/messages", json={"message": 1})
    await http.post("/v1/users/ada/messages", json={"message": 1})
    values = await read(http)
    assert values["hubbub_messages_published_total"] == 2
    assert values["hubbub_privates_delivered_total"] == 2
    assert values["hubbub_http_requests_total method=POST route=/v1/groups/{group}/messages status=200"] == 2


async def test_commands_are_counted_by_outcome(server: Server, http: httpx.AsyncClient, peers: Peers) -> None:
    ada = await peers(server, guest="ada", group="g")
    await ada.fail("post", to="other", message=1)
    await ada.fail("groups", limit=0)
    await ada.do("post", to={"user_id": "ada"}, message=1)
    await ada.do("leave")
    values = await read(http)
    assert values["hubbub_commands_total command=post outcome=INVALID_REQUEST"] == 1
    assert values["hubbub_commands_total command=post outcome=ok"] == 1
    assert values["hubbub_commands_total command=groups outcome=INVALID_PARAMETER"] == 1
    assert values["hubbub_commands_total command=leave outcome=ok"] == 1


async def test_refused_handshakes_and_closes(secured: Server, browse: Browse, peers: Peers) -> None:
    http = browse(secured, headers=server_bearer())
    with pytest.raises(InvalidStatus):
        await open_peer(secured, query="?token=x")
    assert await (await peers(secured, origin="https://evil.example")).closed() == 4008
    ada, bob, cy, dan = [await peers(secured, token=token(name)) for name in ("ada", "bob", "cy", "dan")]
    await http.delete("/v1/users/ada")
    assert await ada.closed() == 4003
    await bob.socket.close(1000)
    await cy.socket.close(3999)
    dan.socket.transport.abort()
    while len(secured.node.sessions):  # until the server has noticed as well
        await http.get("/healthz")
    values = await read(http)
    assert values["hubbub_handshakes_refused_total reason=UNAUTHORIZED"] == 1
    assert values["hubbub_handshakes_refused_total reason=FORBIDDEN"] == 1
    closes = {name.rpartition("=")[2]: value for name, value in values.items() if name.startswith("hubbub_closes")}
    assert closes == {"4003": 1, "1000": 1, "other": 1, "1006": 1}


async def test_a_slow_reader_is_counted(start: Callable[..., Awaitable[Server]], browse: Browse, peers: Peers) -> None:
    server = await start(max_queue=10_000, rate_limit=0)
    http = browse(server)
    slow = await peers(server, guest="slow", group="g")
    slow.socket.transport.pause_reading()
    fast = await peers(server, guest="fast", group="g")
    while not server.node.counters.queue_cuts:
        await fast.do("post", to="g", message="x" * 60_000)
    assert (await read(http))["hubbub_queue_cuts_total"] == 1
    slow.socket.transport.abort()


async def test_answers_are_counted_by_route_and_not_by_name(http: httpx.AsyncClient) -> None:
    for path in (
        "/v1/groups/a/users",
        "/v1/groups/b/users",
        "/no/such/path",
        "/nor/this",
        "/hubbub.js",
        "/hubbub.d.ts",
    ):
        await http.get(path)
    values = await read(http)
    counted = {name.split(" ", 1)[1]: value for name, value in values.items() if name.startswith("hubbub_http_")}
    assert counted == {
        "method=GET route=/v1/groups/{group}/users status=200": 2,
        "method=GET route=other status=404": 2,
        "method=GET route=/hubbub.js status=200": 1,
        "method=GET route=/hubbub.d.ts status=200": 1,
    }


def test_lateness_falls_into_the_right_bucket() -> None:
    for seconds in (0.0, 0.001, 0.0011, 0.3, 99.0):
        counters = Counters()
        counters.late(seconds)
        bucket = counters.lag.index(1)
        assert bucket == sum(bound < seconds for bound in LAG_BOUNDS)
        assert counters.lag_sum == seconds


async def test_lag_is_a_histogram(server: Server, http: httpx.AsyncClient) -> None:
    server.node.counters.late(0.2)
    server.node.counters.late(50.0)
    values = await read(http)
    count = values["hubbub_loop_lag_seconds_count"]
    assert count == values["hubbub_loop_lag_seconds_bucket le=+Inf"] >= 3  # the two, and the node's own first look
    assert values["hubbub_loop_lag_seconds_bucket le=2.5"] == count - 1
    assert values["hubbub_loop_lag_seconds_bucket le=0.25"] - values["hubbub_loop_lag_seconds_bucket le=0.1"] == 1
    assert 50.2 <= values["hubbub_loop_lag_seconds_sum"] < 60


async def test_both_formats_are_well_formed_and_named_by_the_conventions(http: httpx.AsyncClient) -> None:
    plain = await http.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    names = {family.name: family for family in parse(plain.text)}
    ours = {name: family for name, family in names.items() if name.startswith("hubbub_")}
    assert len(ours) >= 14
    for name, family in ours.items():
        assert re.fullmatch(r"hubbub_[a-z_]+[a-z]", name)
        assert family.documentation.endswith(".")
    assert "process_resident_memory_bytes" in names
    modern = await http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text")
    assert set(ours) <= {family.name for family in parse_openmetrics(modern.text)}


async def test_two_servers_in_one_process_count_apart(
    server: Server, secured: Server, browse: Browse, peers: Peers
) -> None:
    await peers(server, guest="ada", group="g")
    assert (await read(browse(server)))["hubbub_groups"] == 1
    assert (await read(browse(secured)))["hubbub_groups"] == 0
