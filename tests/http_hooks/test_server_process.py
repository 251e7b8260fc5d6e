"""A server process with ``--hooks`` and an app that it asks: who connects, joins and posts, and what others hear."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from support.clients import Peer
from support.hook_app import SECRET, HookApp, serve_app
from support.server_process import ServerProcess

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
    return ServerProcess("--hooks", app.url, "--hooks-secret", SECRET, *flags)


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
