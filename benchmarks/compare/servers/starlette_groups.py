"""Groups by hand on Starlette: a set of WebSockets each, and `send_text` in a loop. ``starlette_groups.py PORT``."""

from __future__ import annotations

import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

groups: dict[str, set[WebSocket]] = {}


async def endpoint(socket: WebSocket) -> None:
    """Serve one connection."""
    await socket.accept()
    group: set[WebSocket] = set()
    try:
        while True:
            text = await socket.receive_text()
            message = json.loads(text)
            if message["action"] == "broadcast":
                for member in list(groups[message["rid"]]):
                    await member.send_text(text)
            else:
                group = groups.setdefault(message["rid"], set())
                group.add(socket)
    except WebSocketDisconnect:
        group.discard(socket)


app = Starlette(routes=[WebSocketRoute("/ws", endpoint)])
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", ws_per_message_deflate=False, loop="uvloop")
