"""Posting over HTTP with a server token: from outside of the group, with one request."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from hubbub.cli.access import TIMEOUT
from hubbub.client.reconnect_policy import is_loopback, socket_url
from hubbub.client.wire import encode
from hubbub.errors import CommandError, ErrorCode


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirect: the token is for the server that was named."""

    def redirect_request(self, *_: Any) -> None:
        """Let the redirect be the answer."""


def post_as_server(url: str, token: str, to: str, message: Any, *, to_user: bool) -> int:
    """Post a message, and return how many connections it was handed to.

    Args:
        url: The server's address.
        token: A server token.
        to: A group or, with `to_user`, a user id.
        message: Any JSON value.
        to_user: What `to` is.

    Raises:
        CommandError: What the server says against it; or ``UNAVAILABLE``, it cannot be reached.
    """
    kind = "users" if to_user else "groups"
    try:
        address = f"{http_url(url)}/v1/{kind}/{quote(to, safe='')}/messages"
    except UnicodeEncodeError:
        raise CommandError(ErrorCode.INVALID_PARAMETER, f'"{to}" is no Unicode text.') from None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = Request(address, encode({"message": message}), headers)  # noqa: S310  (http_url lets in no other scheme)
    try:
        with _opener(url).open(request, timeout=TIMEOUT) as answer:
            return int(json.load(answer)["recipients"])
    except HTTPError as error:
        raise _refusal(error) from None
    except (OSError, HTTPException) as error:  # URLError is an OSError
        why = getattr(error, "reason", error)
        raise CommandError(ErrorCode.UNAVAILABLE, f"Cannot connect to {http_url(url)}: {why}.") from None
    except (ValueError, LookupError, TypeError):
        raise CommandError(ErrorCode.INTERNAL, f"{http_url(url)} does not answer as a Hubbub server.") from None


def http_url(url: str) -> str:
    """Return the address that HTTP requests to the server at `url` begin with, without a slash at the end."""
    parts = urlsplit(socket_url(url))
    path = parts.path.removesuffix("/v1/connect")
    return parts._replace(scheme=parts.scheme.replace("ws", "http"), path=path, query="", fragment="").geturl()


def _opener(url: str) -> OpenerDirector:
    # As the client does: the system's proxies, except to this machine itself.
    return build_opener(_NoRedirect, ProxyHandler({} if is_loopback(url) else None))


def _refusal(answer: HTTPError) -> CommandError:
    with answer:
        try:
            error = json.load(answer)["error"]
            return CommandError(ErrorCode(error["code"]), str(error["message"]))
        except (ValueError, LookupError, TypeError, OSError, HTTPException):
            return CommandError(ErrorCode.UNAVAILABLE, f"The server answered with HTTP status {answer.code}.")
