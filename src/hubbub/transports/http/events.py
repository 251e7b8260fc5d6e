"""The feed over HTTP: an answer that goes on, as server-sent events or as lines of JSON."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hubbub.auth.identity import Identity
from hubbub.auth.patterns import compile_patterns
from hubbub.errors import CommandError, ErrorCode
from hubbub.feed import Follower
from hubbub.groups.feed import FeedEvent, Wanted
from hubbub.limits import check_name
from hubbub.node import Node
from hubbub.transports.http.input import EventsQuery, read_events
from hubbub.transports.http.unread_answers import READ_TIMEOUT
from hubbub.transports.refusal import HttpError, server_full

SSE, NDJSON = "text/event-stream", "application/x-ndjson"

_TYPES = {SSE: SSE, "text/*": SSE, NDJSON: NDJSON, "application/*": NDJSON, "application/json": NDJSON, "*/*": NDJSON}
"""What a client may accept, and what it gets."""

WRITE = 65_536
"""About as many bytes are written at once; the next are made when the client has read most of them."""

_encode = msgspec.json.Encoder().encode

_TOO_MANY = "There are as many readers of the feed as max_feed_readers allows. End one, or raise max_feed_readers."


async def follow_feed(node: Node, identity: Identity, request: Request) -> Response:
    """Return the answer to a request for the feed.

    Raises:
        CommandError: ``INVALID_PARAMETER``; ``UNAVAILABLE``: there are too many readers or connections, or the store
            cannot be read; `HttpError` with 406 if the client accepts neither form.
    """
    query = read_events(request.scope["query_string"])
    form = _form(request.headers.get("accept", "*/*"))
    since = request.headers.get("last-event-id") or query.since
    wanted = _wanted(query, identity, node.settings.max_group_name)
    answer = FeedAnswer(node, form, identity)
    follower = Follower(node.backend.feed, since, wanted, answer.ended, node.now)
    if request.method == "HEAD":
        return Response(headers=_headers(form))
    if node.full:
        raise server_full()
    if node.feed_readers >= node.settings.max_feed_readers:
        raise CommandError(ErrorCode.UNAVAILABLE, _TOO_MANY)
    pieces = follower.events()
    answer.count()
    try:
        answer.begin(await anext(pieces), pieces)
    except BaseException:
        answer.count_no_more()
        raise
    return answer


def _form(accepted: str) -> str:
    for part in accepted.split(","):
        name = part.partition(";")[0].strip().lower()
        if name in _TYPES:
            return _TYPES[name]
    text = f'The feed has the types "{SSE}" and "{NDJSON}". Name one of them in the header "Accept".'
    raise HttpError(406, ErrorCode.INVALID_REQUEST, text)


def _wanted(query: EventsQuery, identity: Identity, longest: int) -> Wanted:
    matches: Callable[[str], bool] | None = None
    if query.group is not None:
        check_name("group", query.group, longest)
        matches = compile_patterns((query.group,)).match
    return Wanted("users" in query.what, "groups" in query.what, matches, identity.visible)


def _headers(form: str) -> Mapping[str, str]:
    # Caches may keep nothing; nginx must not buffer.
    return {"Content-Type": form, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class FeedAnswer(Response):
    """An answer with the events of a feed, until the client goes, its user loses the right, or the node stops.

    Args:
        node: Counts its readers, and says when it stops.
        form: `SSE` or `NDJSON`.
        identity: Whose token it was.
    """

    def __init__(self, node: Node, form: str, identity: Identity) -> None:
        super().__init__(headers=_headers(form))
        del self.headers["content-length"]
        self._node = node
        self._encode = _sse if form == SSE else _ndjson
        self._user_id = identity.user_id
        self._expires = None if identity.expires is None else node.now() + identity.expires - time.time()
        self._gone = False
        self._first: list[FeedEvent]
        self._pieces: AsyncGenerator[list[FeedEvent], None]

    def count(self) -> None:
        """Count it as a reader and as a stream of its user."""
        self._node.feed_readers += 1
        self._node.streams.add(self._user_id, self.end)

    def count_no_more(self) -> None:
        """Undo `count`."""
        self._node.feed_readers -= 1
        self._node.streams.remove(self._user_id, self.end)

    def end(self) -> None:
        """Send nothing more: the client has gone, or its user was disconnected."""
        self._gone = True

    def begin(self, first: list[FeedEvent], pieces: AsyncGenerator[list[FeedEvent], None]) -> None:
        """Set what is sent: the `first` events and those that follow."""
        self._first = first
        self._pieces = pieces

    def ended(self) -> bool:
        """Return whether nothing more may be sent."""
        expired = self._expires is not None and self._node.now() >= self._expires
        return self._gone or expired or self._node.draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events. A client that does not read is cut after `READ_TIMEOUT`, if the server has not cut it."""
        watch = asyncio.ensure_future(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send(self._first, send)
            async with aclosing(self._pieces) as pieces:
                async for piece in pieces:
                    if self.ended():
                        break
                    await self._send(piece, send)
            await send({"type": "http.response.body", "body": b""})
        finally:
            watch.cancel()
            self.count_no_more()

    async def _send(self, events: list[FeedEvent], send: Send) -> None:
        waiting = bytearray()
        for event in events:
            waiting += self._encode(event)
            if len(waiting) >= WRITE or event is events[-1]:
                async with asyncio.timeout(READ_TIMEOUT):
                    await send({"type": "http.response.body", "body": bytes(waiting), "more_body": True})
                waiting.clear()

    async def _watch(self, receive: Receive) -> None:
        """Note when the client has gone, or has closed its sending side, which our own server tells by a message."""
        while (await receive()).get("more_body"):
            pass
        await receive()
        self.end()


def _ndjson(event: FeedEvent) -> bytes:
    return _encode(event) + b"\n"


def _sse(event: FeedEvent) -> bytes:
    start = b"" if event.cursor is None else b"id: " + event.cursor.encode() + b"\n"
    return start + b"data: " + _encode(event) + b"\n\n"
