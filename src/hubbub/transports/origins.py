"""Which web pages may use the server, by their ``Origin`` header. Pure.

On a server, no rule here protects a cookie: only tokens give rights, and a page cannot send a token that it does not
have. With an app's ``on_connect`` a cookie may give rights. Then "*" is refused (`hubbub.hub.hub`), and pages of other
ports of this machine are not accepted (`hubbub.node.Node.local_pages`), since cookies ignore ports.
"""

from __future__ import annotations

from hubbub.transports.hosts import is_local, split_url


def is_allowed(origin: str, host: str, origins: tuple[str, ...], *, local: bool) -> bool:
    """Return whether pages of `origin` may connect.

    Behind a proxy the scheme and port of the public address may differ from ours, so a page counts as the server's own
    if its origin has the host and port of the ``Host`` header.

    Args:
        origin: The value of the ``Origin`` header.
        host: The value of the ``Host`` header.
        origins: The origins in the settings; ``"*"`` for all.
        local: Whether pages of this machine are allowed, as on a server that accepts guests.

    Raises:
        HttpError: 400, `origin` is not a URL.
    """
    if "*" in origins or origin in origins or (local and is_local_origin(origin)):
        return True
    return bool(host) and split_url(origin, 'header "Origin"').netloc.lower() == host.lower()


def is_local_origin(origin: str) -> bool:
    """Return whether a page of `origin` came from a web server on this machine, on whichever port."""
    scheme, _, host = origin.partition("://")
    return scheme in {"http", "https"} and bool(host) and is_local(host)
