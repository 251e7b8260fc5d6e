"""The value of a ``Host`` header: whether it is valid, and whether it names this machine. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from hubbub.errors import ErrorCode
from hubbub.transports.refusal import HttpError

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::[0-9]{0,5})?")


def host_name(host: str) -> str | None:
    """Return the name or address in a ``Host`` header, in lower case and without port and brackets.

    Only what real host names consist of is accepted: of the characters that RFC 3986, section 3.2.2 allows besides,
    none occurs in a host that can be reached, and some would be unsafe in a URL or a script.

    Returns:
        None if the value is invalid. An empty value is valid (RFC 9112, section 3.2) and gives an empty name.
    """
    if not host:
        return ""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    address: str | None = found["ipv6"]
    if address is None:
        name: str = found["name"]
        return name.lower()
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        return None


def is_local(host: str, public: frozenset[str] = frozenset()) -> bool:
    """Return whether a ``Host`` header names this machine, as every request from its own browsers does.

    A value in `public` counts as well: hosts at which a hub with guests is reached.

    A server that accepts guests asks this. A web page may point its own domain at the address 127.0.0.1 (DNS
    rebinding) and then has the same origin as the server; its requests still carry the name of its domain. Programs may
    leave the header out, which counts as local; browsers never do.
    """
    name = host_name(host)
    if name is None:
        return False
    if host.lower() in public:
        return True
    if name in {"", "localhost"} or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def not_local() -> HttpError:
    """Return the error for a request to another host than this machine, while the server accepts guests."""
    text = (
        "A server that accepts guests answers requests to localhost and loopback addresses only. "
        "Use localhost in the address, or start the server with --secret or --jwks-url. "
        "A hub in an app also answers the hosts of its public_url and origins: set public_url."
    )
    return HttpError(403, ErrorCode.FORBIDDEN, text)


def split_url(url: str, what: str) -> SplitResult:
    """Return the parts of a URL that a client sent.

    Args:
        url: The URL, or the target of a request.
        what: What it is, for the error text.

    Raises:
        HttpError: 400, it is not a URL, such as one with brackets that hold no IPv6 address.
    """
    try:
        return urlsplit(url)
    except ValueError as error:
        text = f"The {what} is not a valid URL: {error}."
        raise HttpError(400, ErrorCode.INVALID_REQUEST, text) from None
