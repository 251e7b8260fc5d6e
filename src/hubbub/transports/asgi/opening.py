"""From the ``websocket.connect`` of an ASGI server to the first frame: checked, admitted, authenticated, accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from hubbub.auth.identity import Identity
from hubbub.errors import Close, CommandError, ErrorCode
from hubbub.node import Node
from hubbub.refused_origins import refusal_reason
from hubbub.transports.asgi.connection import AsgiConnection, Receive
from hubbub.transports.asgi.messages import Messages
from hubbub.transports.asgi.outgoing import Send
from hubbub.transports.base import Caller
from hubbub.transports.refusal import refusal_body, status_and_headers
from hubbub.transports.websocket.acceptance import stopping, wire_for
from hubbub.transports.websocket.handshake import Handshake


async def serve(
    scope: Any,
    receive: Receive,
    send: Send,
    *,
    node: Node,
    read: Callable[[], Handshake],
    caller: Caller,
    messages: Messages,
) -> None:
    """Serve one WebSocket from its first message to its last one.

    Args:
        scope: Of the WebSocket.
        receive: ASGI's.
        send: ASGI's.
        node: What the connection belongs to.
        read: Checks the request. Raises `CommandError` if it must be refused.
        caller: The app's call that has brought it.
        messages: Takes frames apart; one for all connections of the node.
    """
    first = await receive()
    if first["type"] != "websocket.connect":
        return
    try:
        handshake = read()
        wire = wire_for(handshake, node)
        offered = {*handshake.subprotocols, *scope.get("subprotocols", ())}
        subprotocol = wire.dialect.subprotocol if wire.dialect.subprotocol in offered else None
        if handshake.refused_origin is not None:
            await _refuse_page(send, node, handshake.refused_origin, subprotocol)
            return
        await _admitted(node)
        identity = await _authenticate(node, handshake.token)
        if node.draining:
            raise stopping()
    except CommandError as error:
        node.counters.refused[error.code] += 1
        await _refuse(scope, send, error)
        return
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
    await AsgiConnection(node, wire, receive, send, messages).serve(caller, identity)


async def _admitted(node: Node) -> None:
    """Wait until the node admits one more connection."""
    admitted = node.loop.create_future()
    if not node.admission.enter(partial(_resolve, admitted)):
        await admitted


async def _authenticate(node: Node, token: str | None) -> Identity | None:
    if token is None:
        return None
    return await node.auth.authenticate(token) if node.auth.waits else node.auth.check(token)


async def _refuse_page(send: Send, node: Node, origin: str, subprotocol: str | None) -> None:
    """Accept and close at once: a page cannot read a refused handshake (see `websocket.refused_page`)."""
    node.counters.refused[ErrorCode.FORBIDDEN] += 1
    node.log_refused_origin(origin)
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
    await send({"type": "websocket.close", "code": int(Close.ORIGIN), "reason": refusal_reason(origin)})


async def _refuse(scope: Any, send: Send, error: CommandError) -> None:
    """Answer with the status and the JSON body that all errors have; servers without that extension answer 403."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": int(Close.NORMAL), "reason": ""})
        return
    status, headers = status_and_headers(error)
    body = refusal_body(error)
    fields = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "websocket.http.response.start", "status": status, "headers": lines})
    await send({"type": "websocket.http.response.body", "body": body})


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
