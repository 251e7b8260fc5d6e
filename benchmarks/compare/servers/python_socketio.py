"""Rooms of python-socketio on uvicorn: ``python_socketio.py PORT [REDIS_URL]``."""

from __future__ import annotations

import sys
from typing import Any

import socketio
import uvicorn

manager = socketio.AsyncRedisManager(sys.argv[2]) if len(sys.argv) > 2 else None
server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], client_manager=manager)


async def join(sid: str, message: dict[str, Any]) -> None:
    """Join a room."""
    await server.enter_room(sid, message["rid"])


async def broadcast(sid: str, message: dict[str, Any]) -> None:
    """Send a message to a room."""
    await server.emit("message", message, room=message["rid"])


server.on("joinRoom", join)
server.on("broadcast", broadcast)
app = socketio.ASGIApp(server)
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", ws_per_message_deflate=False, loop="uvloop")
