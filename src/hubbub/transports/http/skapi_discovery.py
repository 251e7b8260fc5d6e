"""How ``skapi-js`` finds this server: the two files it asks for first, and the script that sends it here to ask.

Both hold the address of the server, since they are read by pages of other origins.
"""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request

from hubbub.settings import Settings

POINTER = Path(__file__).parents[2] / "web" / "point_skapi.js"

USERPOOL = {"userpool_id": "hubbub_skapi", "userpool_client": "hubbub"}
"""Names a pool of users at Amazon Cognito that does not exist: without these keys the client has no session at all. The
second is also part of the names under which it keeps its tokens in the browser."""

# Every base ends with a slash: the client appends the name of the call. What Hubbub does not have is there as well, so
# that it can say so in a sentence.
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
    "record_private_2",  # version 1.2.2 takes turns between exactly these two
    "record_public",
    "record_public_2",
    "post_private",
    "post_public",
    "get_private",
    "get_public",
    "del_private",
)

_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")


def server_url(request: Request, settings: Settings) -> str:
    """Return the address under which the client reaches the server, without a slash at the end.

    It is ``public_url`` if that is set; else what the request was sent to: its ``Host`` and scheme, or what the proxy
    in front says of them, if ``forwarded`` says to believe it. A host that is none is replaced by where we listen.
    """
    if settings.public_url is not None:
        return settings.public_url
    scheme, host = request.scope["scheme"], request.headers.get("host", "")
    if settings.forwarded:
        # A chain of proxies makes a list, of which the first entry is the client's.
        first = {
            name: request.headers.get(f"x-forwarded-{name}", "").split(",")[0].strip() for name in ("proto", "host")
        }
        scheme = first["proto"] if first["proto"] in {"http", "https"} else scheme
        host = first["host"] or host
    if not _HOST.fullmatch(host):
        address, port = request.scope["server"]
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{scheme}://{host}"


def discovery(kind: str, server: str) -> dict[str, str]:
    """Return the file ``admin`` or ``record`` for a server at the address `server`."""
    bases = dict.fromkeys(_ADMIN if kind == "admin" else _RECORD, f"{server}/skapi/")
    if kind == "admin":
        return bases | USERPOOL
    return bases | {"websocket_private": f"{server.replace('http', 'ws', 1)}/skapi/connect"}


def pointer(server: str) -> str:
    """Return the script that makes a page's ``skapi-js`` ask `server`, which is a checked URL without quotes in it."""
    return POINTER.read_text().replace("{{server}}", server)
