"""Which dialect is spoken at which path. A new dialect is one line here. Pure."""

from __future__ import annotations

from hubbub.dialects.base import Wire
from hubbub.dialects.skapi import Skapi
from hubbub.dialects.v1 import V1
from hubbub.transports.websocket.frames import HEADERS, text_frame

ROUTES: dict[str, Wire] = {
    "/v1/connect": Wire(V1(), text_frame, HEADERS),
    "/skapi/connect": Wire(Skapi(), text_frame, HEADERS),
}
