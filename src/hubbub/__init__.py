"""Hubbub: realtime groups. Join a group by name, post JSON, list and search groups, see who comes and goes.

The public names, imported when first used: a program that only connects loads no server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubbub.auth.authenticator import make_token
    from hubbub.client import Client, connect
    from hubbub.errors import CommandError, ErrorCode, HubbubError
    from hubbub.server import Server
    from hubbub.settings import Settings

__all__ = [
    "Client",
    "CommandError",
    "ErrorCode",
    "HubbubError",
    "Server",
    "Settings",
    "__version__",
    "connect",
    "make_token",
]

_HOMES = {
    "Client": "hubbub.client",
    "CommandError": "hubbub.errors",
    "ErrorCode": "hubbub.errors",
    "HubbubError": "hubbub.errors",
    "Server": "hubbub.server",
    "Settings": "hubbub.settings",
    "connect": "hubbub.client",
    "make_token": "hubbub.auth.authenticator",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # takes longer than all the rest

        return version("hubbub")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
