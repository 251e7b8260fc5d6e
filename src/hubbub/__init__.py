"""Hubbub: realtime groups. Join a group by name, post JSON, list and search groups, see who joins and leaves.

The public names are imported on first use, so a program that only uses the client does not load the server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubbub.auth.authenticator import make_token
    from hubbub.auth.patterns import escape_group
    from hubbub.client import Client, connect
    from hubbub.errors import CommandError, ErrorCode, HubbubError, HubError
    from hubbub.groups.feed import FeedEvent
    from hubbub.hub.hub import Hub
    from hubbub.hub.types import Deny, Member, Post, User
    from hubbub.publisher import AsyncPublisher, Publisher
    from hubbub.server import Server
    from hubbub.settings import Settings

__all__ = [
    "AsyncPublisher",
    "Client",
    "CommandError",
    "Deny",
    "ErrorCode",
    "FeedEvent",
    "Hub",
    "HubError",
    "HubbubError",
    "Member",
    "Post",
    "Publisher",
    "Server",
    "Settings",
    "User",
    "__version__",
    "connect",
    "escape_group",
    "make_token",
]

_MODULES = {
    "AsyncPublisher": "hubbub.publisher",
    "Client": "hubbub.client",
    "CommandError": "hubbub.errors",
    "Deny": "hubbub.hub.types",
    "ErrorCode": "hubbub.errors",
    "FeedEvent": "hubbub.groups.feed",
    "Hub": "hubbub.hub.hub",
    "HubError": "hubbub.errors",
    "HubbubError": "hubbub.errors",
    "Member": "hubbub.hub.types",
    "Post": "hubbub.hub.types",
    "Publisher": "hubbub.publisher",
    "Server": "hubbub.server",
    "Settings": "hubbub.settings",
    "User": "hubbub.hub.types",
    "connect": "hubbub.client",
    "escape_group": "hubbub.auth.patterns",
    "make_token": "hubbub.auth.authenticator",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # slow to import

        return version("hubbub")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
