"""The app of ``benchmarks/http_hooks.py``: answers after so many seconds as ``DELAY`` says, and counts what it gets.

Plain ASGI, so that what is measured is the server: a framework adds its own time.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

DELAY = float(os.environ.get("DELAY", "0"))
_ALLOW = b'{"allow":true}'


class Counts:
    """What it has seen: requests, those at the same time, the most of them."""

    asked = running = peak = 0


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request; ``GET /`` returns the counts."""
    if scope["type"] != "http":
        return
    if scope["method"] == "GET":
        await answer(send, json.dumps({"asked": Counts.asked, "peak": Counts.peak}).encode())
        return
    Counts.asked += 1
    Counts.running += 1
    Counts.peak = max(Counts.peak, Counts.running)
    body = b""
    while (part := await receive())["type"] == "http.request":
        body += part["body"]
        if not part.get("more_body"):
            break
    if DELAY:
        await asyncio.sleep(DELAY)
    reply = _ALLOW
    if body.startswith(b'{"type":"connect"'):
        query = json.loads(body)["data"]["query"]
        reply = json.dumps({"user": {"user_id": query.partition("=")[2]}}).encode()
    Counts.running -= 1
    await answer(send, reply)


async def answer(send: Any, body: bytes) -> None:
    """Send an answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
