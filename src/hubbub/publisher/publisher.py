"""`Publisher`: posts, lists and disconnects from programs without an event loop: Django, Flask, Celery, scripts."""

from __future__ import annotations

import ssl
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

from hubbub.client.results import Page, Sent, StartKey
from hubbub.messages import Condition, GroupRow, Order, UserRow
from hubbub.publisher.loop_thread import LoopThread
from hubbub.publisher.publishing import TIMEOUT, AsyncPublisher


class Publisher:
    """Posts to groups and users, lists and disconnects, from any program and without joining a group.

    Over HTTP it speaks to a server and needs a server token. With the address of the store it needs no server: what it
    posts reaches the connections of all nodes, and is kept for clients that reconnect as the nodes keep it.

    One publisher serves a whole process, for example as a global: every thread may use it, it connects when it is first
    used, keeps connections open, and a forked process makes its own. It runs an event loop in a thread of its own.

    A call that fails because the server, or the way to it, is not available for the moment is repeated with the same
    key until `timeout`. So a post is done once, even if a server ends between doing it and answering.

    All methods raise `hubbub.CommandError`, with the code and text of the server, or:

    - ``UNAVAILABLE``: there was no usable answer in time. A post may or may not have been done.
    - ``INVALID_PARAMETER``: a parameter is wrong; a message that is not JSON raises `hubbub.errors.NotJsonError`, which
      is also a `TypeError` and a `ValueError`.
    - ``INVALID_REQUEST``: the publisher is closed, or the server redirects.
    - ``INTERNAL``: what answers is no Hubbub server.

    Args:
        url: The server's address (``http`` or ``https``), or that of the store, as in the setting `backend`
            (``valkey://host:6379``; several servers separated by commas; ``rediss`` for TLS).
        token: For a server: a server token, or a function that returns one. The function is called for the first call,
            and when the server does not accept the last token any more.
        timeout: Seconds that a call may take, with all attempts.
        tls: How the server's certificate is checked; None for the system's default.

    Raises:
        CommandError: ``INVALID_PARAMETER``: `url` or `timeout` cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | Callable[[], str] | None = None,
        timeout: float = TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._publisher = AsyncPublisher(url, token=token, timeout=timeout, tls=tls)
        self._thread = LoopThread("hubbub-publisher")
        self._end = weakref.finalize(self, self._thread.stop, self._publisher.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. Every later call fails with ``INVALID_REQUEST``."""
        self._publisher.forbid()
        self._end()

    def post(
        self,
        group: str,
        message: Any,
        *,
        key: str | None = None,
        min_recipients: int | None = None,
        sender: str | None = None,
        keep: bool = True,
    ) -> Sent:
        """Post to a group, without being a member.

        Args:
            group: Its name.
            message: None, bool, int, float, str, list, tuple, or dict with strings as keys.
            key: Identifies this post, such as the number of an order: posts with the same key, sender and group are
                done once, within the server's window (`history_age`), and each returns the result of the first. By
                default each call has a key of its own.
            min_recipients: Fail with ``INVALID_REQUEST``, and deliver nothing, if fewer connections would receive it.
            sender: The user id that recipients see. By default that of the token, and ``"server"`` over the store.
                Recipients can tell that the user has not sent it: ``sender_cid`` is None.
            keep: If false, the message is only for whoever is connected now: it is in no history, and nobody gets it
                later. It has no `key`, so that there is one attempt.

        Returns:
            `recipients`: how many connections it was delivered to; 0 if nobody is in the group.
        """
        return self._thread.run(
            lambda: self._publisher.post(
                group, message, key=key, min_recipients=min_recipients, sender=sender, keep=keep
            )
        )

    def post_to_user(
        self,
        user_id: str,
        message: Any,
        *,
        key: str | None = None,
        min_recipients: int | None = None,
        sender: str | None = None,
        keep: bool = True,
    ) -> Sent:
        """Post to every connection of a user. Parameters and result are those of `post`."""
        return self._thread.run(
            lambda: self._publisher.post_to_user(
                user_id, message, key=key, min_recipients=min_recipients, sender=sender, keep=keep
            )
        )

    def groups(
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
        """Return a page of the groups, with the parameters of `Client.get_realtime_groups`; its rows are in `list`.

        Pass the page's `start_key` to get the next page; it is ``"end"`` after the last.
        """
        return self._thread.run(
            lambda: self._publisher.groups(
                search_for, value, condition, range, limit=limit, ascending=ascending, start_key=start_key
            )
        )

    def users(
        self,
        group: str,
        user_id: str | None = None,
        *,
        limit: int | None = None,
        ascending: bool | None = None,
        start_key: StartKey | Literal["start"] | None = None,
    ) -> Page[UserRow]:
        """Return a page of the connections in a group, or of those of one user in it; the rows are in `list`."""
        return self._thread.run(
            lambda: self._publisher.users(group, user_id, limit=limit, ascending=ascending, start_key=start_key)
        )

    def disconnect(
        self,
        user_id: str | None = None,
        *,
        connection_id: str | None = None,
        for_seconds: float | None = None,
    ) -> int:
        """Close every connection of a user, or one connection; return how many were closed.

        Args:
            user_id: The user. Either this or `connection_id` is needed.
            connection_id: The connection.
            for_seconds: Ban the user for so long, at most a week: no node accepts the user. 0 ends a ban, None leaves
                it as it is.
        """
        return self._thread.run(
            lambda: self._publisher.disconnect(user_id, connection_id=connection_id, for_seconds=for_seconds)
        )
