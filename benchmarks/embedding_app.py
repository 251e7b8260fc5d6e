"""The apps that `embedding.py` runs: a mounted hub, and what people write without one."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from hubbub import Hub

_hub = Hub(guests=True, rate_limit=0, max_connections=5000, max_connections_per_user=5000)
hub_app = Starlette(lifespan=_hub.lifespan, routes=[Mount("/realtime", _hub)])

_groups: dict[str, set[WebSocket]] = {}


async def _loop(socket: WebSocket) -> None:
    """Answer the same commands with a loop over the members, one ``send_text`` each."""
    await socket.accept()
    members: set[WebSocket] = set()
    name = ""
    try:
        while True:
            command = json.loads(await socket.receive_text())
            if command["do"] == "connect":
                name = command["guest"]
            elif command["do"] == "join":
                members = _groups.setdefault(command["group"], set())
                members.add(socket)
            else:
                event = {"type": "message", "message": command["message"], "sender": name, "sender_cid": "abcdefghijkl"}
                text = json.dumps({**event, "sender_rid": command["to"], "seq": 1, "code": None})
                for member in members:
                    await member.send_text(text)
            result = {"type": "success", "message": "Message sent.", "recipients": len(members)}
            await socket.send_text(json.dumps({"id": command["id"], "ok": result}))
    except WebSocketDisconnect:
        pass
    finally:
        members.discard(socket)


loop_app = Starlette(routes=[WebSocketRoute("/realtime/v1/connect", _loop)])
