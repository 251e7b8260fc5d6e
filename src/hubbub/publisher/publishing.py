"""`AsyncPublisher`: posts, lists and disconnects without a connection of its own to any group, in an event loop."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import ssl
from itertools import count
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from hubbub.client.reconnect_policy import http_url
from hubbub.client.reconnecting import Target, Token
from hubbub.client.results import Page, Sent, StartKey
from hubbub.errors import CommandError, ErrorCode, invalid
from hubbub.messages import Condition, GroupRow, Order, UserRow
from hubbub.publisher.calls import Call, Post, make_disconnect, make_groups, make_post, make_users
from hubbub.publisher.http_transport import HttpTransport
from hubbub.publisher.loop_thread import CLOSED
from hubbub.publisher.retries import ATTEMPT, AttemptError, pause_before_retry
from hubbub.publisher.store_transport import StoreTransport, is_store, parse_store

TIMEOUT = 10.0
"""Seconds that a call may take, with all attempts and the pauses between them."""


class _Transport(Protocol):
    """Carries out calls, each once, in one event loop. `server` is the address, for error texts."""

    server: str

    async def attempt(self, call: Call) -> Any: ...

    async def close(self) -> None: ...


class _Open(NamedTuple):
    """A transport, and where it can be used: connections belong to one loop of one process."""

    transport: _Transport
    loop: asyncio.AbstractEventLoop
    process: int


_inherited: list[_Open] = []
"""Transports of the parent process. Kept, because closing a loop that two processes share would disturb the parent."""


class AsyncPublisher:
    """Posts to groups and users, lists and disconnects, from a program with an event loop.

    It does what `Publisher` does, whose methods describe everything; here they are coroutines. All of them may be
    called at the same time. One event loop can use it at a time; another one after that has ended.

    Args:
        url: See `Publisher`.
        token: See `Publisher`.
        timeout: See `Publisher`.
        tls: See `Publisher`.

    Raises:
        CommandError: ``INVALID_PARAMETER``: `url` or `timeout` cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        timeout: float = TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise invalid(f'"url" must be a string, not a {type(url).__name__}.')
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < float("inf"):
            raise invalid('"timeout" must be a positive number of seconds.')
        self._url, self._timeout = url, float(timeout)
        self._target = None if token is None else Target(url, token, None, self._timeout, tls)
        self._tls = tls
        self._open: _Open | None = None
        self._closed = False
        if not is_store(url):
            http_url(url)
        elif token is not None:
            raise invalid('"token" is for a server; the store at a valkey:// address knows a user and a password only.')
        else:
            self._address = parse_store(url)

    # --- opening and closing ---

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Every later call fails with ``INVALID_REQUEST``; closing again does nothing."""
        self.forbid()
        open_, self._open = self._open, None
        if open_ is not None and open_.process == os.getpid() and open_.loop is asyncio.get_running_loop():
            await open_.transport.close()

    def forbid(self) -> None:
        """Let every later call fail, without closing the connections."""
        self._closed = True

    # --- calls ---

    async def post(
        self,
        group: str,
        message: Any,
        *,
        key: str | None = None,
        min_recipients: int | None = None,
        sender: str | None = None,
        keep: bool = True,
    ) -> Sent:
        """Post to a group: see `Publisher.post`."""
        post = make_post("group", group, message, _key(key, keep=keep), min_recipients, sender, keep=keep)
        sent: Sent = await self._call(post)
        return sent

    async def post_to_user(
        self,
        user_id: str,
        message: Any,
        *,
        key: str | None = None,
        min_recipients: int | None = None,
        sender: str | None = None,
        keep: bool = True,
    ) -> Sent:
        """Post to every connection of a user: see `Publisher.post_to_user`."""
        post = make_post("user", user_id, message, _key(key, keep=keep), min_recipients, sender, keep=keep)
        sent: Sent = await self._call(post)
        return sent

    async def groups(
        self,
        search_for: Order | None = None,
        value: str | float | None = None,
        condition: Condition | None = None,
        range: str | float | None = None,  # noqa: A002  (the name on the wire)
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        start_key: StartKey | Literal["start"] | None = None,
    ) -> Page[GroupRow]:
        """Return a page of the groups: see `Publisher.groups`."""
        call = make_groups(search_for, value, condition, range, limit, ascending, start_key)
        page: Page[GroupRow] = await self._call(call)
        return page

    async def users(
        self,
        group: str,
        user_id: str | None = None,
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        start_key: StartKey | Literal["start"] | None = None,
    ) -> Page[UserRow]:
        """Return a page of the connections in a group: see `Publisher.users`."""
        page: Page[UserRow] = await self._call(make_users(group, user_id, limit, ascending, start_key))
        return page

    async def disconnect(
        self,
        user_id: str | None = None,
        *,
        connection_id: str | None = None,
        for_seconds: float | None = None,
    ) -> int:
        """Close the connections of a user, or one connection: see `Publisher.disconnect`."""
        closed: int = await self._call(make_disconnect(user_id, connection_id, for_seconds))
        return closed

    # --- attempts ---

    async def _call(self, call: Call) -> Any:
        """Carry out a call, with as many attempts as the time allows."""
        transport = self._transport()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        last: AttemptError | None = None
        for number in count():
            try:
                return await self._attempt(transport, call, deadline - loop.time(), last)
            except AttemptError as failure:
                last = failure
            pause = pause_before_retry(last, number, deadline - loop.time(), random.random())  # noqa: S311
            if pause is None or not _is_repeatable(call):
                raise _with_attempts(last.error, number + 1) from last.__cause__
            await asyncio.sleep(pause)
        raise AssertionError("the loop ends with a result or an error")

    async def _attempt(self, transport: _Transport, call: Call, left: float, last: AttemptError | None) -> Any:
        seconds = min(left, ATTEMPT)
        try:
            async with asyncio.timeout(seconds):
                return await transport.attempt(call)
        except TimeoutError:
            if last is not None and seconds < ATTEMPT:
                raise last from None  # why the earlier attempts failed says more than that there was little time left
            text = f"{transport.server} did not answer within {seconds:.3g} s."
            raise AttemptError(CommandError(ErrorCode.UNAVAILABLE, text)) from None

    def _transport(self) -> _Transport:
        """Return the connections of this loop; new ones after a fork, or when an earlier loop has ended."""
        if self._closed:
            raise CommandError(ErrorCode.INVALID_REQUEST, CLOSED)
        loop, process, open_ = asyncio.get_running_loop(), os.getpid(), self._open
        if open_ is not None and (open_.loop is not loop or open_.process != process):
            if open_.process == process and open_.loop.is_running():
                text = "This publisher is in use in another event loop. Make one for each loop, or use Publisher."
                raise CommandError(ErrorCode.INVALID_REQUEST, text)
            if open_.process != process:
                _inherited.append(open_)
            open_ = None
        if open_ is None:
            open_ = self._open = _Open(self._new_transport(), loop, process)
        return open_.transport

    def _new_transport(self) -> _Transport:
        if is_store(self._url):
            return StoreTransport(self._address)
        return HttpTransport(self._url, self._target, self._tls)


def _key(key: str | None, *, keep: bool) -> str | None:
    """Return the key of a post; a new one if none is given, so that a repeated attempt is done once."""
    return secrets.token_urlsafe(15) if key is None and keep else key


def _is_repeatable(call: Call) -> bool:
    """Whether an attempt without an answer may be repeated: a post without a key could be delivered twice."""
    return not isinstance(call, Post) or call.key is not None


def _with_attempts(error: CommandError, attempts: int) -> CommandError:
    return error if attempts == 1 else CommandError(error.code, f"{error.message} Tried {attempts} times.")
