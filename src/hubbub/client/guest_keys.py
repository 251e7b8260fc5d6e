"""The keys with which clients connect as guests: one for each process and server. Pure."""

from __future__ import annotations

import secrets
from hashlib import blake2b

from hubbub.client.reconnect_policy import socket_url

_PROCESS_SECRET = secrets.token_bytes(32)


def derive_guest_key(url: str, secret: bytes = _PROCESS_SECRET) -> str:
    """Return the guest key for the server at `url`: the same for all clients of a process, so they can share a name.

    Each server gets another key, so that none can use it elsewhere.

    Args:
        url: The server's address.
        secret: What the key is derived from, at most 64 bytes; by default random for each process.

    Raises:
        CommandError: `url` is not the address of a server.
    """
    return blake2b(socket_url(url).encode("utf-8", "surrogatepass"), key=secret, digest_size=16).hexdigest()
