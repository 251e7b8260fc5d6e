"""An app at a URL: signs each request, sends it, and tells an answer from a bad answer and from no answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from hubbub.http_hooks.answers import BadAnswerError
from hubbub.http_hooks.breaker import Breaker
from hubbub.http_hooks.connection import Answer, LostError, NotHttpError
from hubbub.http_hooks.pool import Pool
from hubbub.http_hooks.signing import sign

AWAY = frozenset({429, 502, 503, 504})
"""Statuses with which a server, or a proxy in front of it, says that the app cannot answer now."""

log = logging.getLogger("hubbub.hooks")


class AwayError(Exception):
    """The app cannot be reached, or says that it cannot answer now.

    Args:
        reason: For the log.
        asked: Whether it was asked. While it counts as away, that happens only now and then.
    """

    def __init__(self, reason: str, *, asked: bool = True) -> None:
        super().__init__(reason)
        self.asked = asked


class App:
    """Asks one app.

    Args:
        url: Where it answers.
        key: Signs the requests.
        pool: The connections to it.
        breaker: Notes whether it is away.
        unix_time: Unix time in seconds.
    """

    def __init__(
        self, url: str, key: bytes, pool: Pool, breaker: Breaker, unix_time: Callable[[], float] = time.time
    ) -> None:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc
        self._head = (
            f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            "Accept: application/json\r\nAccept-Encoding: identity\r\n"
        )
        self._key = key
        self._pool = pool
        self._breaker = breaker
        self._unix_time = unix_time
        self._now = asyncio.get_running_loop().time

    @property
    def away(self) -> bool:
        """Whether the app has not answered lately, so that it is asked only now and then."""
        return self._breaker.away

    async def ask(self, body: bytes, headers: Mapping[str, str] | None = None, message_id: str = "") -> bytes:
        """Send a body; return that of the answer.

        Args:
            body: JSON.
            headers: Headers of a client that are forwarded.
            message_id: The ``webhook-id`` of a body that is sent again; empty for a new one.

        Raises:
            AwayError: There was no answer, or the app counts as away.
            BadAnswerError: The answer is not one of the app: not HTTP, too large, a redirect, an error.
        """
        request = self._request(body, headers or {}, message_id or new_id())
        if not self._breaker.allows(self._now()):
            raise AwayError("it has not answered lately", asked=False)
        try:
            answer = await self._pool.ask(request)
        except LostError as error:
            self._is_away(str(error))
            raise AwayError(str(error)) from None
        except NotHttpError as error:
            self._is_here()
            raise BadAnswerError(str(error)) from None
        except BaseException:  # cancelled: it took too long, or the server stops
            self._is_away("it took too long")
            raise
        if answer.status in AWAY:
            self._is_away(f"it answered {answer.status}")
            raise AwayError(f"it answered {answer.status}")
        self._is_here()
        return _checked(answer)

    def _request(self, body: bytes, headers: Mapping[str, str], message_id: str) -> bytes:
        timestamp = int(self._unix_time())
        signature = sign(self._key, message_id, timestamp, body)
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if "user-agent" not in headers:
            more += "User-Agent: hubbub\r\n"
        head = (
            f"{self._head}{more}Content-Length: {len(body)}\r\nwebhook-id: {message_id}\r\n"
            f"webhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\r\n"
        )
        return head.encode("latin-1") + body

    def _is_here(self) -> None:
        if self._breaker.succeeded():
            log.warning("the app of hooks answers again")

    def _is_away(self, why: str) -> None:
        if self._breaker.failed(self._now()):
            log.error("the app of hooks does not answer, and counts as away until it does: %s", why)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def new_id() -> str:
    """Return a ``webhook-id`` that no other request has."""
    return f"msg_{secrets.token_urlsafe(16)}"


def _checked(answer: Answer) -> bytes:
    """Return the body of an answer that says something. Raises `BadAnswerError`."""
    if 300 <= answer.status < 400:
        raise BadAnswerError(f"it answered {answer.status}, and a redirect is not followed: set hooks to the last URL")
    if not 200 <= answer.status < 300:
        raise BadAnswerError(f"it answered {answer.status}")
    if answer.content_encoding.lower() not in {"", "identity"}:
        raise BadAnswerError(f"it is compressed ({answer.content_encoding:.40}), which was not asked for")
    return answer.body
