"""A notice board in Litestar: programs follow it with keys of their own, and the app posts only if somebody reads.

cd examples && hubbub serve --app litestar_board:app
"""

import asyncio
from dataclasses import dataclass

from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from starlette.requests import HTTPConnection

from hubbub import CommandError, Deny, Hub, Post, User
from hubbub.contrib.litestar import HubPlugin

KEYS = {"key-of-ada": "ada", "key-of-bob": "bob"}  # yours are random, and stored as hashes


@dataclass
class Notice:
    text: str
    urgent: bool = False


hub = Hub(history_age=3600)


@hub.on_connect
async def who(conn: HTTPConnection) -> User:
    name = KEYS.get(conn.headers.get("x-api-key", ""))
    if name is None:
        raise Deny("Send your key as X-API-Key.")
    return User(name, groups=["board"])


@hub.on_post("board")
async def check(post: Post[Notice]) -> Notice:
    if post.message.urgent and post.member.user_id != "ada":
        raise Deny("Only ada may post urgent notices.")
    return Notice(post.message.text.strip(), post.message.urgent)


@post("/notices")
async def announce(data: Notice, hub: NamedDependency[Hub]) -> dict[str, int]:
    """Post a notice if there is somebody who reads it."""
    try:
        sent = await hub.post("board", data, sender="office", min_recipients=1)
    except CommandError as error:
        raise HTTPException(error.message, status_code=409) from None
    return {"recipients": sent.recipients}


@get("/notices/next")
async def next_notice(hub: NamedDependency[Hub]) -> Notice | None:
    """Return the next notice that anybody posts, on any worker; None after 10 s without one."""
    try:
        async with asyncio.timeout(10), hub.listen("board") as messages:
            message = (await anext(messages)).message
    except TimeoutError:
        return None
    return Notice(**message)


@get("/readers")
async def readers(hub: NamedDependency[Hub]) -> list[str]:
    page = await hub.users("board")
    return sorted({row.user_id for row in page.list})


app = Litestar([announce, next_notice, readers], plugins=[HubPlugin(hub, path="/realtime")])
