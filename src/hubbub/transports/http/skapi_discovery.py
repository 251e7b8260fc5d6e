"""How ``skapi-js`` finds this server: the two files that it requests first, and the script that sends it here for them.

They contain the address of the server, since pages of other origins read them.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request

from hubbub.settings import Settings
from hubbub.transports.hosts import host_name
from hubbub.transports.mounted_path import PREFIX

POINTER = Path(__file__).parents[2] / "web" / "point_skapi.js"

USERPOOL = {"userpool_id": "hubbub_skapi", "userpool_client": "hubbub"}
"""An Amazon Cognito user pool that does not exist: without these keys the client has no session at all. The second one
is also part of the names under which the client keeps its tokens in the browser."""

# Every base ends with a slash: the client appends the name of the call. Calls that Hubbub does not offer are listed as
# well, so that they are answered with an error that says so.
_ADMIN = (
    "admin_public",
    "admin_private",
    "admin_private_2",
    "extra_public",
    "extra_public_2",
    "extra_private",
    "extra_private_2",
    "get_users_private",
    "service_public",
)
_RECORD = (
    "record_private",
    "record_private_2",  # version 1.2.2 alternates between exactly these two
    "record_public",
    "record_public_2",
    "post_private",
    "post_public",
    "get_private",
    "get_public",
    "del_private",
)


def server_url(request: Request, settings: Settings) -> str:
    """Return the URL at which the client reaches the server, without a slash at the end.

    It is ``public_url`` if that is set. Otherwise it has the scheme and ``Host`` of the request, or those that a proxy
    reports, if ``forwarded`` is set. If the host is missing or invalid, the address of the socket takes its place. The
    path at which a hub is mounted follows.
    """
    prefix: str = request.scope.get(PREFIX, "")
    if settings.public_url is not None:
        return settings.public_url + prefix
    scheme, host = request.scope["scheme"], request.headers.get("host", "")
    if settings.forwarded:
        # A chain of proxies makes a list, whose first entry is the client's.
        first = {
            name: request.headers.get(f"x-forwarded-{name}", "").split(",")[0].strip() for name in ("proto", "host")
        }
        scheme = first["proto"] if first["proto"] in {"http", "https"} else scheme
        host = first["host"] or host
    if not host_name(host):
        address, port = request.scope["server"]
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{scheme}://{host}{prefix}"


def discovery(kind: str, server: str) -> dict[str, str]:
    """Return the content of the file ``admin`` or ``record`` for a server at the URL `server`."""
    bases = dict.fromkeys(_ADMIN if kind == "admin" else _RECORD, f"{server}/skapi/")
    if kind == "admin":
        return bases | USERPOOL
    return bases | {"websocket_private": f"{server.replace('http', 'ws', 1)}/skapi/connect"}


def pointer(server: str) -> str:
    """Return the script that points a page's ``skapi-js`` at `server`, a checked URL, which has no quotes in it."""
    return POINTER.read_text().replace("{{server}}", server)
