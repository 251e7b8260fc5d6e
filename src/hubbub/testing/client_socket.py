"""One WebSocket into an ASGI app, without a network: what a client sends and receives are ASGI messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Scope

from hubbub.errors import CommandError, ErrorCode

SUBPROTOCOL = "hubbub.v1"


def websocket_scope(
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Scope:
    """Return the scope of a WebSocket that a program on this machine opens.

    Args:
        path: Of the request, decoded.
        headers: Added to ``Host: localhost``, or instead of it.
        cookies: The header ``Cookie``.
        query: The query string.
        state: What the lifespan of the app has left for its requests.
    """
    lines = {"host": "localhost", "sec-websocket-protocol": SUBPROTOCOL}
    lines |= {name.lower(): value for name, value in (headers or {}).items()}
    if cookies:
        lines["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 50_000),
        "root_path": "",
        "path": path,
        "raw_path": None,
        "query_string": urlencode(query or {}).encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()],
        "subprotocols": [SUBPROTOCOL],
        "state": dict(state or {}),
        "extensions": {"websocket.http.response": {}},
    }


class Socket:
    """A client's end of a WebSocket.

    Args:
        on_text: Called with each text frame.
        on_close: Called once, when it is closed.

    Attributes:
        code: The close code, once it is closed: 1006 if the app has ended without one.
        reason: The reason that came with it.
    """

    def __init__(self, on_text: Callable[[str], object], on_close: Callable[[], object]) -> None:
        self._on_text = on_text
        self._on_close = on_close
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refusal: tuple[int, bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self.code: int | None = None
        self.reason = ""

    async def open(self, app: ASGIApp, scope: Scope) -> None:
        """Open it; return when the app has accepted.

        Raises:
            CommandError: The app has refused; code and text are those of its answer.
            Exception: What the app has raised.
        """
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.get_running_loop().create_task(self._run(app, scope))
        await self._opened

    def send(self, text: str) -> None:
        """Send a text frame."""
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def end(self, code: int) -> None:
        """Close it with `code`, or with 1006 as a lost connection; return when the app's call has ended."""
        self._hang_up(code)
        self._closed(code, "")
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._to_app.get, self._from_app)
        except Exception as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
        finally:
            if not self._opened.done():
                self._opened.set_exception(self._refused())
            self._closed(1006, "")

    async def _from_app(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            if self.code is None:
                self._on_text(message["text"])
        elif kind == "websocket.accept":
            self._opened.set_result(None)
        elif kind == "websocket.close":
            code = message.get("code", 1000)
            self._closed(code, message.get("reason") or "")
            self._hang_up(code)
        elif kind == "websocket.http.response.start":
            self._refusal = message["status"], b""
        elif kind == "websocket.http.response.body" and self._refusal is not None:
            self._refusal = self._refusal[0], self._refusal[1] + message.get("body", b"")

    def _hang_up(self, code: int) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})

    def _closed(self, code: int, reason: str) -> None:
        if self.code is None:
            self.code, self.reason = code, reason
            self._on_close()

    def _refused(self) -> CommandError:
        """Return the error in the answer of the app, or one for its close code."""
        status, body = self._refusal or (403, b"")
        try:
            error = json.loads(body)["error"]
            return CommandError(ErrorCode(error["code"]), str(error["message"]))
        except (ValueError, LookupError, TypeError):
            text = f"The app has refused the connection with HTTP status {status}: {body[:200]!r}."
            code = ErrorCode.UNAVAILABLE if status >= 500 else ErrorCode.FORBIDDEN
            return CommandError(code, text)
