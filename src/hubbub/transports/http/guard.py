"""Checks and headers for every HTTP request: allowed hosts and origins, access log, counters, no details of failures.

Why there is no CSRF token
    Only ``Authorization: Bearer`` gives rights, never a cookie. A page of another origin cannot add that header without
    a preflight, and only allowed origins pass the preflight: those in the settings, and while guests are accepted those
    of this machine.

Why the host is checked
    A server that accepts guests answers everyone who can reach it. A web page can point its own domain at the address
    127.0.0.1 (DNS rebinding) and then has the same origin as the server. Its requests still carry its name in ``Host``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubbub.errors import CommandError, ErrorCode
from hubbub.node import Node
from hubbub.transports.hosts import is_local, not_local
from hubbub.transports.http.errors import INTERNAL, error_answer
from hubbub.transports.mounted_path import PREFIX, split_path
from hubbub.transports.origins import is_local_origin

PREFLIGHT_SECONDS = 600
"""Seconds for which a browser may remember the answer to a preflight."""

log = logging.getLogger("hubbub.http")
access_log = logging.getLogger("hubbub.access")


class Guard:
    """ASGI middleware around the whole app.

    Args:
        app: The app that answers the requests.
        node: Has the settings, the counters and the clock.
        templates: The path of each endpoint, with placeholders, for the counters.
    """

    def __init__(self, app: ASGIApp, node: Node, templates: Mapping[object, str]) -> None:
        self._app = app
        self._node = node
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        # The paths are not decoded: see NameConvertor. The app's own scope stays as it is.
        prefix, path = split_path(scope)
        scope = {**scope, "path": path, "root_path": "", PREFIX: prefix}
        headers = Headers(scope=scope)
        began, status = self._node.now(), 0

        async def send_more(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message), scope, headers)
            await send(message)

        try:
            answer = self._preempt(scope, headers)
            await (answer or self._app)(scope, receive, send_more)
        except Exception:
            if status:
                raise  # the answer has begun; uvicorn logs the exception and cuts the connection
            log.exception("%s %s failed", scope["method"], scope["path"])
            await error_answer(INTERNAL)(scope, receive, send_more)
        finally:
            self._record(scope, status, self._node.now() - began)

    def _preempt(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the answer, if the app need not be asked."""
        if self._node.settings.allow_guests and not all(
            is_local(host, self._node.public_hosts) for host in headers.getlist("host")
        ):
            return error_answer(not_local())
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers and _is_api(scope):
            return self._preflight(headers)
        return None

    # --- other origins (https://fetch.spec.whatwg.org/#http-cors-protocol) ---

    def _preflight(self, headers: Headers) -> Response:
        origin = headers.get("origin")
        if self._allowed(origin) is None:
            if origin is not None:
                self._node.log_refused_origin(origin)
            text = "Pages of this origin may not use the API. Add the origin to --origins of the server."
            return error_answer(CommandError(ErrorCode.FORBIDDEN, text))
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
                "Access-Control-Allow-Headers": "Authorization, Content-Type",
                "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
            },
        )

    def _allowed(self, origin: str | None) -> str | None:
        """Return the origins that may read the answer, as browsers are told; None if `origin` may not."""
        if origin is None:
            return None
        settings = self._node.settings
        if "*" in settings.origins:
            return "*"
        return origin if origin in settings.origins or (settings.allow_guests and is_local_origin(origin)) else None

    def _add_headers(self, answer: MutableHeaders, scope: Scope, headers: Headers) -> None:
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Referrer-Policy"] = "no-referrer"
        if _is_api(scope):
            answer.add_vary_header("Origin")
            if (allowed := self._allowed(headers.get("origin"))) is not None:
                answer["Access-Control-Allow-Origin"] = allowed
                answer["Access-Control-Expose-Headers"] = "Retry-After"

    # --- log and counters ---

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._templates.get(scope.get("endpoint"), "other")
        self._node.counters.requests[scope["method"], route, status] += 1
        if self._node.settings.access_log:
            # The undecoded path has no line breaks; without its query string it has no tokens.
            access_log.info("%s %s %d %.1f ms", scope["method"], scope["path"], status, seconds * 1000)


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/v1/")
