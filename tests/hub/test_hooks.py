"""Hooks over real sockets: who connects, joins and posts, what each is told, and what others hear."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect

from hubbub.hub.hub import Hub
from hubbub.hub.types import Deny, Member, Post, User
from hubbub.testing import TestHub
from support.clients import Peer
from support.hub import serve

Peers = Callable[..., Awaitable[Peer]]


class Chat(msgspec.Struct):
    text: str


def app() -> Hub:
    """A hub as in the documentation: cookies, teams, moderation."""
    hub = Hub()

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        name = conn.cookies.get("user")
        if name is None:
            return None
        if name == "mallory":
            raise Deny("Log in first.")
        return User(name, name=name.title(), groups=["team-*"], data={"team": conn.query_params.get("team")})

    @hub.on_join("team-{team}")
    async def may_join(member: Member, team: str) -> None:
        if member.data["team"] != team:
            raise Deny("Not your team.")

    @hub.on_post("team-{team}")
    async def moderate(post: Post[Chat], team: str) -> Chat | None:
        if post.message.text == "shout":
            return Chat("SHOUT")
        if post.message.text == "spam":
            return None
        if post.message.text == "curse":
            raise Deny("Mind your language.")
        return post.message

    return hub


def cookie(user: str) -> dict[str, Any]:
    return {"additional_headers": {"Cookie": f"user={user}"}}


async def test_the_first_three_hooks(peers: Peers) -> None:
    async with serve(app()) as server:
        ada = await peers(server, query="?team=red", **cookie("ada"))
        bob = await peers(server, query="?team=red", **cookie("bob"))
        eve = await peers(server, query="?team=blue", **cookie("eve"))
        for peer, name in ((ada, "ada"), (bob, "bob"), (eve, "eve")):
            assert (await peer.do("connect"))["user_id"] == name
        await bob.do("join", group="team-red")
        await ada.do("join", group="team-red")
        assert (await bob.event())["type"] == "notice"
        assert await eve.fail("join", group="team-red") == {"code": "FORBIDDEN", "message": "Not your team."}
        assert (await eve.fail("join", group="other"))["code"] == "FORBIDDEN"
        assert (await ada.do("post", to="team-red", message={"text": "hi"}))["recipients"] == 2
        assert (await bob.event())["message"] == {"text": "hi"}
        await ada.do("post", to="team-red", message={"text": "shout"})
        assert (await bob.event())["message"] == {"text": "SHOUT"}
        assert (await ada.do("post", to="team-red", message={"text": "spam"}))["recipients"] == 0
        refused = await ada.fail("post", to="team-red", message={"text": "curse"})
        assert refused == {"code": "FORBIDDEN", "message": "Mind your language."}
        wrong = await ada.fail("post", to="team-red", message={"text": 1})
        assert (wrong["code"], "message.text" in wrong["message"]) == ("INVALID_PARAMETER", True)
        assert await bob.quiet()


async def test_a_client_that_the_app_refuses_may_not_ask_again(peers: Peers) -> None:
    async with serve(app()) as server:
        mallory = await peers(server, **cookie("mallory"))
        assert await mallory.fail("connect") == {"code": "FORBIDDEN", "message": "Log in first."}
        assert (await mallory.fail("connect"))["code"] == "UNAUTHORIZED"


async def test_a_client_that_the_app_does_not_know() -> None:
    async with TestHub(app()) as hub:
        with hub.refused("UNAUTHORIZED", match="log in"):
            await hub.connect()
        ada = await hub.connect(cookies={"user": "ada"}, query={"team": "red"}, join="team-red")
        with hub.refused("FORBIDDEN", match="Not your team"):
            await ada.join("team-blue")
        await ada.post({"text": "shout"})
        assert (await ada.next()).message == {"text": "SHOUT"}


async def test_the_legacy_client_over_a_real_socket(peers: Peers) -> None:
    async with serve(app()) as server:
        ada = await peers(server, query="?team=red", **cookie("ada"))
        await ada.do("connect")
        await ada.do("join", group="team-red")
        address = server.url.replace("http", "ws", 1) + "/skapi/connect?team=red&token=not-ours"
        async with connect(address, proxy=None, **cookie("bob")) as legacy:
            await legacy.send('{"action":"joinRoom","rid":"team-red"}')
            assert (await ada.event())["sender"] == "bob"
            await legacy.send('{"action":"broadcast","rid":"team-red","content":{"text":"shout"}}')
            assert (await ada.event())["message"] == {"text": "SHOUT"}
            await legacy.send('{"action":"broadcast","rid":"team-red","content":{"text":"curse"}}')
            while "#error" not in (frame := json.loads(await legacy.recv())):
                pass
            assert frame == {"#error": "Mind your language.", "#code": "FORBIDDEN"}
        async with connect(address, proxy=None, **cookie("mallory")) as refused:
            assert json.loads(await refused.recv())["#error"] == "Log in first."
            await refused.wait_closed()
            assert refused.close_code == 4003


async def test_the_metrics_count_hooks(peers: Peers, browse: Callable[..., httpx.AsyncClient]) -> None:
    async with serve(app()) as server:
        ada = await peers(server, query="?team=red", **cookie("ada"))
        await ada.do("connect")
        await ada.do("join", group="team-red")
        await ada.fail("join", group="team-blue")
        await ada.do("post", to="team-red", message={"text": "hi"})
        text = (await browse(server).get("/metrics")).text
        for line in (
            'hubbub_hook_calls_total{hook="on_connect",outcome="ok",pattern=""} 1.0',
            'hubbub_hook_calls_total{hook="on_join",outcome="denied",pattern="team-{team}"} 1.0',
            'hubbub_hook_calls_total{hook="on_post",outcome="ok",pattern="team-{team}"} 1.0',
            "hubbub_hooks_running 0.0",
            "hubbub_hooks_waiting 0.0",
        ):
            assert line in text
        assert 'hubbub_hook_seconds_total{hook="on_post",pattern="team-{team}"}' in text


async def test_a_hook_sees_whether_a_message_is_kept(peers: Peers) -> None:
    hub, seen = Hub(guests=True), list[tuple[Any, bool]]()

    @hub.on_post("{group}")
    async def store(post: Post[Any], group: str) -> Any:
        seen.append((post.message, post.keep))
        return [post.message]

    @hub.on_private
    async def private(post: Post[Any]) -> Any:
        seen.append((post.message, post.keep))
        return post.message

    async with serve(hub) as server:
        ada, bob = [await peers(server, guest=name, group="g") for name in ("ada", "bob")]
        assert (await ada.event())["code"] == "USER_JOINED"
        for number, options in enumerate(({}, {"keep": False}, {"echo": False}, {"keep": False, "echo": False})):
            sent = await ada.do("post", to="g", message=number, **options)
            assert sent["recipients"] == (2 if options.get("echo", True) else 1)
        events = [await bob.event() for _ in range(4)]
        assert [(each["message"], each["seq"]) for each in events] == [([0], 1), ([1], None), ([2], 2), ([3], None)]
        events = [await ada.event() for _ in range(3)]
        assert [(each["type"], each["seq"]) for each in events] == [("message", 1), ("message", None), ("posted", 2)]
        await ada.do("post", to={"user_id": "bob"}, message="…", keep=False)
        assert (await bob.event())["seq"] is None
    assert seen == [(0, True), (1, False), (2, True), (3, False), ("…", False)]
