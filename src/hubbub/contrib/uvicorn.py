"""Run an app with a hub under uvicorn: ``uvicorn main:app --ws hubbub.contrib.uvicorn:WebSockets``.

The hub takes its WebSockets over from uvicorn, which is about ten times as fast as ASGI. All other WebSockets of the
app are served by uvicorn's own class.
"""

from __future__ import annotations

from hubbub.hub.tiers import announce_server
from hubbub.transports.websocket.app_protocol import AppWebSockets

__all__ = ["WebSockets"]

announce_server(2)  # uvicorn imports this module only if it is told to use it


class WebSockets(AppWebSockets):
    """uvicorn's protocol class for WebSockets."""
