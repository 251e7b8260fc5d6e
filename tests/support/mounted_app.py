"""The app of the tests of mounted hubs: a login with a cookie, two hubs, an HTTP route and a WebSocket of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, WebSocket
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from hubbub import Deny, Hub, Member, Post, User
from support.clients import SECRET

MAX_QUEUE = 131_072
"""The limit for a slow reader of the first hub, bytes."""


def make_app(**settings: Any) -> FastAPI:
    """Return the app; `settings` are added to those of its first hub, which is served at ``/realtime``.

    The second one, at ``/second``, takes tokens only. It has no part in the app's lifespan.
    """
    given = {"secret": SECRET, "max_queue": MAX_QUEUE, "history_bytes": 1024, "drain_spread": 0.1, **settings}
    hub, second = Hub(**given), Hub(secret=SECRET)
    ended: list[str] = []

    @asynccontextmanager
    async def inner(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"motto": "from the lifespan"}

    app = FastAPI(lifespan=hub.lifespan(inner))
    app.add_middleware(SessionMiddleware, secret_key="a key for cookies")
    app.mount("/realtime", hub)
    app.mount("/second", second)

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        if "ask-for-token" in conn.headers:
            return None
        name = conn.session.get("name")
        if name is None:
            raise Deny("Log in first.")
        return User(name, groups=["team-*"], data=f"{getattr(conn.state, 'motto', 'without')}, {conn.url.path}")

    @hub.on_post("team-echo")
    async def add(post: Post[Any]) -> Any:
        return {"message": post.message, "data": post.member.data}

    @hub.on_disconnect
    async def left(member: Member) -> None:
        ended.append(member.user_id)

    @app.post("/login")
    async def login(request: Request, name: str) -> dict[str, str]:
        request.session["name"] = name
        return {"name": name}

    @app.get("/hello")
    async def hello(request: Request) -> dict[str, Any]:
        return {"name": request.session.get("name"), "ended": ended}

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(f"hello {socket.session.get('name')}")
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            pass

    @app.websocket("/refuses")
    async def refuses(socket: WebSocket) -> None:
        await socket.close(4321, "not here")

    @app.post("/orders/{number}")
    async def order(number: int, given: Annotated[Hub, Depends(hub.get)]) -> dict[str, int]:
        sent = await given.post("team-kitchen", {"order": number})
        return {"recipients": sent.recipients}

    return app


app = make_app()
"""For servers that are told a name."""
