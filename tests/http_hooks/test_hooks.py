"""A server that asks an app over HTTP: what each answer, bad answer and missing answer means for the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from hubbub.server import Server
from support.clients import SECRET as TOKEN_SECRET
from support.clients import Peer, token
from support.hook_app import SECRET
from support.raw_app import Behave, RawApp, answer, answers, serve_raw, silence

Peers = Callable[..., Awaitable[Peer]]
Start = Callable[..., Awaitable[Server]]
Browse = Callable[..., httpx.AsyncClient]

ALLOW = answer(b'{"allow":true}')


def body(text: bytes) -> Behave:
    return answers(answer(text))


async def start_with(start: Start, app: RawApp, **settings: Any) -> Server:
    """Start a server whose users have tokens, and that asks `app` about everything but connects."""
    given = {"hooks_events": ("join", "post", "private"), "hook_timeout": 60.0} | settings
    return await start(hooks=app.url, hooks_secret=SECRET, secret=TOKEN_SECRET, **given)


OUTCOMES: list[tuple[str, Behave, str, str]] = [
    ("silence", silence, "UNAVAILABLE", "timeout"),
    ("closed without an answer", answers(close=True), "UNAVAILABLE", "away"),
    ("half an answer", answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", close=True), "UNAVAILABLE", "away"),
    ("empty body", body(b""), "INTERNAL", "failed"),
    ("204", answers(b"HTTP/1.1 204 No Content\r\n\r\n"), "INTERNAL", "failed"),
    ("HTML", answers(answer(b"<html>", "200 OK", "Content-Type: text/html")), "INTERNAL", "failed"),
    ("10 MB", answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", b"x" * 200_000), "INTERNAL", "failed"),
    ("redirect", answers(answer(b"", "302 Found", "Location: http://127.0.0.1:1/")), "INTERNAL", "failed"),
    ("unknown field", body(b'{"allow":true,"more":1}'), "INTERNAL", "failed"),
    ("wrong type", body(b'{"allow":"yes"}'), "INTERNAL", "failed"),
    ("answer to another question", body(b'{"user":null}'), "INTERNAL", "failed"),
    ("400", answers(answer(b'{"allow":true}', "400 X")), "INTERNAL", "failed"),
    ("401", answers(answer(b'{"allow":true}', "401 X")), "INTERNAL", "failed"),
    ("403", answers(answer(b'{"deny":"no"}', "403 X")), "INTERNAL", "failed"),
    ("404", answers(answer(b'{"allow":true}', "404 X")), "INTERNAL", "failed"),
    ("429", answers(answer(b'{"allow":true}', "429 X")), "UNAVAILABLE", "away"),
    ("500", answers(answer(b'{"allow":true}', "500 X")), "INTERNAL", "failed"),
    ("502", answers(answer(b"", "502 X")), "UNAVAILABLE", "away"),
    ("503", answers(answer(b"", "503 X")), "UNAVAILABLE", "away"),
    ("not HTTP", answers(b"SSH-2.0-OpenSSH\r\n"), "INTERNAL", "failed"),
    ("compressed", answers(answer(b"x", "200 OK", "Content-Encoding: gzip")), "INTERNAL", "failed"),
    ("a refusal", body(b'{"deny":"No."}'), "FORBIDDEN", "denied"),
]


@pytest.mark.parametrize(("behave", "code", "outcome"), [each[1:] for each in OUTCOMES], ids=[o[0] for o in OUTCOMES])
async def test_the_outcome_of_each_answer(
    start: Start, peers: Peers, behave: Behave, code: str, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    limit = 0.2 if outcome == "timeout" else 60.0
    async with serve_raw(behave) as app:
        server = await start_with(start, app, hook_timeout=limit)
        ada = await peers(server, token=token("ada"))
        refused = await ada.fail("join", group="g")
        assert refused["code"] == code
        assert len(refused["message"]) < 200
        assert server.node.counters.hooks == {("on_join", "", outcome): 1}
        assert ("app of hooks" in caplog.text) == (outcome != "denied")
        assert "Traceback" not in caplog.text
        app.behave = answers(ALLOW)
        if limit > 1:  # otherwise a slow machine could make this late, too
            await ada.do("join", group="g")


@pytest.mark.parametrize("behave", [answers(close=True), answers(answer(b"", "503 X"))])
async def test_hooks_away_allow(start: Start, peers: Peers, browse: Browse, behave: Behave) -> None:
    async with serve_raw(behave) as app:
        server = await start_with(start, app, hooks_away="allow")
        ada = await peers(server, token=token("ada"), group="g")
        bob = await peers(server, token=token("bob"), group="g")
        assert (await ada.do("post", to="g", message=1))["recipients"] == 2
        assert (await ada.do("post", to={"user_id": "bob"}, message=2))["recipients"] == 1
        heard = [await bob.event(), await bob.event()]
        assert [each["message"] for each in heard] == [1, 2]
        text = (await browse(server).get("/metrics")).text
        assert "hubbub_hooks_allowed_total 4.0" in text
        app.behave = body(b"<html>")  # it is there, so its bad answer refuses
        server = await start_with(start, app, hooks_away="allow")
        eve = await peers(server, token=token("eve"))
        assert (await eve.fail("join", group="g"))["code"] == "INTERNAL"


async def test_allow_after_a_timeout(start: Start, peers: Peers) -> None:
    async with serve_raw(silence) as app:
        server = await start_with(start, app, hooks_away="allow", hook_timeout=0.1)
        ada = await peers(server, token=token("ada"), group="g")
        assert (await ada.do("post", to="g", message=1))["recipients"] == 1


async def test_nobody_connects_while_the_app_is_away(start: Start, peers: Peers) -> None:
    for away in ("deny", "allow"):
        url = "http://127.0.0.1:1/"  # where nothing listens
        server = await start(hooks=url, hooks_secret=SECRET, hooks_away=away)
        peer = await peers(server)
        assert (await peer.fail("connect"))["code"] == "UNAVAILABLE"
        assert (await peer.fail("connect"))["code"] == "UNAVAILABLE"  # it may try again


async def test_an_app_that_comes_back(start: Start, peers: Peers, browse: Browse) -> None:
    async with serve_raw(answers(close=True)) as app:
        server = await start_with(start, app)
        ada = await peers(server, token=token("ada"))
        http = browse(server)
        for _ in range(6):
            assert (await ada.fail("join", group="g"))["code"] == "UNAVAILABLE"
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["ready"], ready.json()["hooks"]) == (200, True, False)
        assert "hubbub_hooks_away 1.0" in (await http.get("/metrics")).text
        asked = len(app.requests)
        await ada.fail("join", group="g")
        assert len(app.requests) <= asked + 1  # at most one attempt, if the pause was over
        app.behave = answers(ALLOW)
        async with asyncio.timeout(60):
            while "error" in await ada.ask("join", group="g"):
                await asyncio.sleep(0.05)
        assert (await http.get("/readyz")).json()["hooks"] is True
        assert "hubbub_hooks_away 0.0" in (await http.get("/metrics")).text


async def test_leaves_and_disconnects_are_told_when_the_app_is_back(start: Start, peers: Peers, browse: Browse) -> None:
    async with serve_raw(answers(close=True)) as app:
        server = await start_with(start, app, hooks_events=("leave", "disconnect"))
        ada = await peers(server, token=token("ada"), group="g")
        await ada.do("join", group="h")
        await ada.do("leave")
        await ada.socket.close()
        http = browse(server)
        async with asyncio.timeout(60):
            while "hubbub_hooks_untold 3.0" not in (text := (await http.get("/metrics")).text):
                await asyncio.sleep(0.02)
        assert "hubbub_hooks_dropped_total 0.0" in text
        failed = len(app.requests)
        app.behave = answers(answer(b"whatever", "202 X"))
        async with asyncio.timeout(120):
            while "hubbub_hooks_untold 0.0" not in (await http.get("/metrics")).text:
                await asyncio.sleep(0.02)
        told = [json.loads(sent) for _, sent in app.requests[failed:]]
        last = [(each["type"], each["data"].get("group"), each["data"].get("why")) for each in told]
        assert last[-3:] == [("leave", "g", "switched"), ("leave", "h", "left"), ("disconnect", None, None)]


async def test_a_message_that_the_app_makes_too_large(start: Start, peers: Peers) -> None:
    async with serve_raw(answers(ALLOW)) as app:
        server = await start_with(start, app, max_message=100)
        ada = await peers(server, token=token("ada"), group="g")
        app.behave = body(b'{"message":"' + b"x" * 200 + b'"}')
        assert (await ada.fail("post", to="g", message=1))["code"] == "TOO_LARGE"
        app.behave = body(b'{"message":' + b"[" * 90 + b"]" * 90 + b"}")
        assert (await ada.fail("post", to="g", message=1))["code"] == "TOO_LARGE"


@pytest.mark.parametrize(
    "user",
    [
        {"user_id": ""},
        {"user_id": "x" * 300},
        {"user_id": "a\n"},
        {"user_id": "a", "groups": ["x" * 300] * 2000},
        {"user_id": "a", "expires": "2020-01-01T00:00:00"},
    ],
)
async def test_a_user_that_cannot_be(start: Start, peers: Peers, user: dict[str, Any]) -> None:
    async with serve_raw(body(json.dumps({"user": user}).encode())) as app:
        server = await start(hooks=app.url, hooks_secret=SECRET, max_message=1_000_000, max_command=2_000_000)
        peer = await peers(server)
        assert (await peer.fail("connect"))["code"] == "INTERNAL"


async def test_a_login_that_has_expired(start: Start, peers: Peers) -> None:
    async with serve_raw(body(b'{"user":{"user_id":"a","expires":1}}')) as app:
        server = await start(hooks=app.url, hooks_secret=SECRET)
        assert (await (await peers(server)).fail("connect"))["code"] == "UNAUTHORIZED"


async def test_events_that_the_app_is_not_asked_about_cost_nothing(start: Start, peers: Peers) -> None:
    async with serve_raw(silence) as app:
        server = await start_with(start, app, hooks_events=("private",))
        ada = await peers(server, token=token("ada"), group="g")
        assert (await ada.do("post", to="g", message=1))["recipients"] == 1
        await ada.do("leave")
        assert app.connections == 0
        assert server.node.hooks is not None
        assert not server.node.hooks.checks_posts("g")


async def test_no_more_at_once_than_hook_concurrency(start: Start, peers: Peers) -> None:
    gate, running, peak = asyncio.Event(), 0, 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await gate.wait()
        running -= 1
        writer.write(ALLOW)

    async with serve_raw(behave) as app:
        server = await start_with(start, app, hook_concurrency=3, hook_timeout=60.0)
        clients = [await peers(server, token=token(f"u{number}")) for number in range(12)]
        joins = [asyncio.create_task(each.do("join", group="g")) for each in clients]
        hooks = server.node.hooks
        assert hooks is not None
        async with asyncio.timeout(60):
            while hooks.running + hooks.waiting < 12 or running < 3:
                await asyncio.sleep(0.01)
        assert (hooks.running, hooks.waiting) == (3, 9)
        gate.set()
        await asyncio.gather(*joins)
        assert peak == 3
