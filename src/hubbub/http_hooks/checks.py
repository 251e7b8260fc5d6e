"""Checks of the settings of hooks over HTTP. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Literal, get_args
from urllib.parse import urlsplit

from hubbub.errors import SettingsError
from hubbub.http_hooks.signing import MAKE_ONE, secret_key

HookEvent = Literal["connect", "join", "post", "private", "leave", "disconnect"]

HOOK_EVENTS: tuple[HookEvent, ...] = get_args(HookEvent)
"""What an app can be asked and told, in the order in which it happens."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_OF_THE_REQUEST = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect",
        "host", "keep-alive", "origin", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Headers that are those of the request to the app, so a client's cannot be forwarded. ``origin`` is in the body."""


def check_hooks(
    url: str | None, secret: str | None, events: tuple[str, ...], headers: tuple[str, ...], away: str
) -> None:
    """Check the settings ``hooks``, ``hooks_secret``, ``hooks_events``, ``hooks_headers`` and ``hooks_away``.

    Raises:
        SettingsError: One of them is wrong or missing. The text does not repeat the URL, which may hold a password.
    """
    if away not in {"deny", "allow"}:
        raise SettingsError(f"hooks_away must be deny or allow, not {away!r}")
    for event in events:
        if event not in HOOK_EVENTS:
            raise SettingsError(f"hooks_events must be some of {', '.join(HOOK_EVENTS)}, not {event!r}")
    for name in headers:
        if not _HEADER.fullmatch(name) or name.lower() in _OF_THE_REQUEST or name.lower().startswith("webhook-"):
            raise SettingsError(f"hooks_headers must name headers of clients that can be forwarded, not {name!r}")
    if url is None:
        if secret is not None:
            raise SettingsError("hooks_secret needs hooks, the URL of the app that is asked")
        return
    _check_url(url)
    if secret is None:
        raise SettingsError(
            "hooks needs hooks_secret (HUBBUB_HOOKS_SECRET), by which the app knows that this server asks; " + MAKE_ONE
        )
    secret_key(secret, "hooks_secret")
    if not events:
        raise SettingsError("hooks_events must name at least one event; to ask no app, leave hooks out")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # raises, unless it is a number up to 65535
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host or not re.fullmatch(r"[!-~]+", url):
        raise SettingsError("hooks must be an https:// address with a host, in ASCII, or http:// on this machine")
    if parts.username is not None or parts.password is not None or "#" in url:
        raise SettingsError("hooks must have no user name, password or fragment: hooks_secret signs the requests")
    if parts.scheme == "http" and not _is_loopback(host):
        raise SettingsError(
            "hooks must begin with https://, because requests carry the cookies of users; http:// is for this machine "
            "only (localhost, 127.0.0.1, [::1])"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
