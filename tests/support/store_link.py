"""The one place where tests and benchmarks reach into a Valkey backend: its first shard and its connection.

Faults are injected here, so a change inside the backend is a change of this module only.
"""

from __future__ import annotations

from typing import Any

from hubbub.backends.valkey.backend import ValkeyBackend


def first_shard(backend: ValkeyBackend) -> Any:
    """Return the backend's part for the first shard; the only one unless the store is a cluster."""
    inside: Any = backend
    return inside._shards[0] if hasattr(inside, "_shards") else inside._buckets[0]


def connection(backend: ValkeyBackend) -> Any:
    """Return the open connection to the store."""
    found = first_shard(backend).link._connection
    assert found is not None, "the backend is not connected"
    return found


def opened(backend: ValkeyBackend) -> int:
    """Return how many connections to the store it has opened so far."""
    number: int = first_shard(backend).link.opened
    return number


def reset(backend: ValkeyBackend, reason: str = "cut by the test") -> None:
    """Cut the connection to the store; the backend opens another."""
    first_shard(backend).link.reset(reason)
