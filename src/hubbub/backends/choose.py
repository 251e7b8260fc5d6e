"""Which backend the settings ask for."""

from __future__ import annotations

from hubbub.backends.base import Backend
from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.clock import SYSTEM, Clock
from hubbub.groups.feed import FeedWindow
from hubbub.groups.history import Window
from hubbub.settings import Settings


def window(settings: Settings) -> Window:
    """Return how much history the settings keep."""
    return Window(
        messages=settings.history_messages,
        # A client that reconnects is sent all of it at once, which must fit into the queue of a slow reader.
        bytes=min(settings.history_bytes, settings.max_queue // 2),
        age=settings.history_age,
        inbox=settings.inbox_messages,
        total=settings.history_total,
        keys=settings.history_keys,
        idle_groups=settings.history_idle_groups,
        restart_grace=settings.restart_grace,
        user=settings.history_user,
    )


def make_backend(settings: Settings, clock: Clock = SYSTEM) -> Backend:
    """Return the backend that the settings name. Raises `SettingsError` if there is no such backend.

    Args:
        settings: Name it, and say how much it keeps.
        clock: What a single process measures ages with; several nodes measure them in their store.
    """
    kept, feed = window(settings), FeedWindow(settings.feed_events, settings.feed_bytes, settings.feed_age)
    if settings.backend == "memory":
        return MemoryBackend(kept, clock.monotonic, feed_window=feed)
    return ValkeyBackend(parse_address(settings.backend), kept, feed)
