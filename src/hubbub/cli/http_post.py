"""Posts over HTTP with a server token: one request, without joining the group."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from hubbub.cli.access import TIMEOUT
from hubbub.client.reconnect_policy import http_url, is_loopback
from hubbub.client.wire import encode
from hubbub.errors import CommandError, ErrorCode


class _NoRedirect(HTTPRedirectHandler):
    """Follows no redirects: the token is for the server that the user named."""

    def redirect_request(self, *_: Any) -> None:
        """Return the redirect itself as the answer."""


def post_as_server(url: str, token: str, to: str, message: Any, *, to_user: bool, keep: bool = True) -> int:
    """Post a message, and return to how many connections it was delivered.

    Args:
        url: The server's address.
        token: A server token.
        to: A group or, with `to_user`, a user id.
        message: Any JSON value.
        to_user: Whether `to` is a user id.
        keep: Whether the message goes into the history.

    Raises:
        CommandError: The error that the server answered; or ``UNAVAILABLE`` if it cannot be reached.
    """
    kind = "users" if to_user else "groups"
    try:
        address = f"{http_url(url)}/v1/{kind}/{quote(to, safe='')}/messages"
    except UnicodeEncodeError:
        raise CommandError(ErrorCode.INVALID_PARAMETER, f'"{to}" is not valid Unicode.') from None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = Request(address, encode({"message": message, **({} if keep else {"keep": False})}), headers)  # noqa: S310  (http_url returns no other scheme)
    try:
        with opener(url).open(request, timeout=TIMEOUT) as answer:
            return int(json.load(answer)["recipients"])
    except HTTPError as error:
        raise refusal_of(error) from None
    except (OSError, HTTPException) as error:  # URLError is an OSError
        why = getattr(error, "reason", error)
        raise CommandError(ErrorCode.UNAVAILABLE, f"Cannot connect to {http_url(url)}: {why}.") from None
    except (ValueError, LookupError, TypeError):
        raise CommandError(
            ErrorCode.INTERNAL, f"{http_url(url)} does not answer like a Hubbub server; check --url (HUBBUB_URL)."
        ) from None


def opener(url: str) -> OpenerDirector:
    """Return what opens requests: like the client, with the system's proxies, except for this machine itself."""
    return build_opener(_NoRedirect, ProxyHandler({} if is_loopback(url) else None))


def refusal_of(answer: HTTPError) -> CommandError:
    """Return the error that a server has answered."""
    with answer:
        try:
            error = json.load(answer)["error"]
            return CommandError(ErrorCode(error["code"]), str(error["message"]))
        except (ValueError, LookupError, TypeError, OSError, HTTPException):
            return CommandError(ErrorCode.UNAVAILABLE, f"The server answered with HTTP status {answer.code}.")
