"""Where a mounted hub is, and what was asked of it: the paths of an ASGI scope, not decoded. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

PREFIX = "hubbub.prefix"
"""The key under which the scope of a request below a mounted hub has the path of the hub, not decoded."""

_SAFE = "/:@!$&()*+,;=-._~"  # what may stand in a path as it is (RFC 3986, section 3.3), but for the apostrophe


def split_path(scope: Mapping[str, Any]) -> tuple[str, str]:
    """Return the path at which a hub is mounted, and the path below it, both not decoded.

    A name in a path may have an encoded slash, so the decoded path is not enough. Where the server tells no other
    (``raw_path`` is optional), it is encoded anew, and names with a slash are not found.

    The first one has no apostrophe, since scripts contain it.

    Args:
        scope: Of a request or a WebSocket. ``root_path`` is decoded; ``path`` and ``raw_path`` begin with it, or, from
            some servers and frameworks, do not.
    """
    root: str = scope.get("root_path", "").rstrip("/")
    path: str = scope["path"]
    raw_bytes: bytes | None = scope.get("raw_path")
    raw = quote(path, safe=_SAFE) if raw_bytes is None else raw_bytes.decode("latin-1").partition("?")[0]
    if not root:
        return "", raw
    end = 0
    while end >= 0:
        end = raw.find("/", end + 1)
        prefix = raw if end < 0 else raw[:end]
        if unquote(prefix) == root:
            return quote(root, safe=_SAFE), raw[len(prefix) :] or "/"
    if path != root and not path.startswith(root + "/"):  # the server has taken the root path off
        return quote(root, safe=_SAFE), raw
    # The path of the hub itself was sent with an encoded slash.
    return quote(root, safe=_SAFE), quote(path[len(root) :], safe=_SAFE) or "/"
