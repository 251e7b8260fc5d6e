"""A server with the hooks of an app, without an app around it: sockets are real, nothing is mounted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hubbub.hub.calls import HookCalls
from hubbub.hub.registry import Registry
from hubbub.server import Server
from hubbub.settings import Settings


@asynccontextmanager
async def serve(registry: Registry, **options: Any) -> AsyncIterator[Server]:
    """Run a server whose node asks the hooks of `registry`."""
    settings = Settings(port=0, **options)
    registry.freeze()
    async with Server(settings, HookCalls(registry, settings)) as server:
        yield server
