"""Carries out the calls of a publisher over HTTP, on connections that are kept open."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from hubbub.client.reconnect_policy import http_url, is_loopback
from hubbub.client.reconnecting import Target
from hubbub.errors import CommandError, ErrorCode
from hubbub.publisher.calls import Call
from hubbub.publisher.http_messages import MAX_ANSWER, HttpRequest, not_hubbub, read_answer, to_request
from hubbub.publisher.retries import AttemptError

MAX_CONNECTIONS = 20
"""Most connections to the server; calls beyond that wait for one."""

IDLE = 30.0
"""Seconds after which an unused connection is closed."""


class HttpTransport:
    """Connections to one server, of one event loop.

    Args:
        url: The server's address.
        target: Where the token comes from; None to send none.
        tls: How the server's certificate is checked; None for the system's default.

    Attributes:
        server: The server's address, for error texts.
    """

    def __init__(self, url: str, target: Target | None, tls: ssl.SSLContext | None) -> None:
        self.server = http_url(url)
        self._target = target
        self._token: str | None = None
        secure = self.server.startswith("https:")
        self._client = httpx.AsyncClient(
            verify=(tls or ssl.create_default_context()) if secure else False,
            trust_env=not is_loopback(url),  # like the client: the system's proxies, except for this machine
            follow_redirects=False,
            timeout=None,  # noqa: S113  (the caller limits the whole attempt, which no timeout of a read does)
            limits=httpx.Limits(
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS,
                keepalive_expiry=IDLE,
            ),
            headers={"User-Agent": "hubbub-publisher", "Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def attempt(self, call: Call) -> Any:
        """Carry out a call once, or twice if the token turns out to have ended and a function gives new ones.

        Raises `AttemptError`.
        """
        request = to_request(call)
        fresh = self._token is None
        try:
            return await self._send(request)
        except AttemptError as failure:
            renewable = self._target is not None and self._target.renewable
            if failure.error.code != ErrorCode.UNAUTHORIZED or fresh or not renewable:
                raise
        self._token = None
        return await self._send(request)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _send(self, request: HttpRequest) -> Any:
        headers = {}
        if self._target is not None:
            headers["Authorization"] = f"Bearer {self._token or await self._fetch_token(self._target)}"
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._client.stream(
                request.method, self.server + request.path, content=request.body, headers=headers
            ) as response:
                body = await self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._failure(error) from error
        return read_answer(self.server, request, response.status_code, response.headers, body)

    async def _fetch_token(self, target: Target) -> str:
        try:
            token = (await target.credentials())["token"]
        except CommandError as error:
            raise AttemptError(error) from error.__cause__
        if not (isinstance(token, str) and token.isascii() and token.isprintable()):
            text = "The token is not one: it must be a string of printable ASCII characters."
            raise AttemptError(CommandError(ErrorCode.UNAUTHORIZED, text))
        self._token = token
        return token

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise AttemptError(not_hubbub(self.server, " (the answer is compressed)"))
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_ANSWER:
                text = f" (the answer has more than {MAX_ANSWER} bytes)"
                raise AttemptError(not_hubbub(self.server, text))
        return bytes(body)

    def _failure(self, error: Exception) -> AttemptError:
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx.RemoteProtocolError) and "illegal" in reason:
            return AttemptError(not_hubbub(self.server, f" ({reason})"))
        if isinstance(error, httpx.TransportError):
            refused = CommandError(ErrorCode.UNAVAILABLE, f"Cannot reach {self.server}: {reason}.")
            return AttemptError(refused, final=_is_certificate(error))
        return AttemptError(CommandError(ErrorCode.INVALID_PARAMETER, f"The request cannot be sent: {reason}."))


def _is_certificate(error: BaseException | None) -> bool:
    """Whether the server's certificate was refused, as it will be the next time."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
