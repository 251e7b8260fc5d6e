"""Groups of Django Channels on uvicorn: ``django_channels.py PORT [REDIS_URL]``; without a URL in memory."""

from __future__ import annotations

import json
import sys
from typing import Any

import django
import uvicorn
from django.conf import settings

if len(sys.argv) > 2:
    layer: dict[str, Any] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [sys.argv[2]]},
    }
else:
    layer = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 100_000}}
settings.configure(CHANNEL_LAYERS={"default": layer}, ALLOWED_HOSTS=["*"], SECRET_KEY="a benchmark has no secrets")
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402


class Member(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One connection."""

    group = ""

    async def receive(self, text_data: str = "", bytes_data: bytes = b"") -> None:
        """Join a group, or send to it."""
        message = json.loads(text_data)
        if message["action"] == "broadcast":
            await self.channel_layer.group_send(message["rid"], {"type": "forward", "text": text_data})
        else:
            self.group = message["rid"]
            await self.channel_layer.group_add(self.group, self.channel_name)

    async def forward(self, event: dict[str, str]) -> None:
        """Deliver a message of the group."""
        await self.send(text_data=event["text"])

    async def disconnect(self, code: int) -> None:
        """Leave."""
        if self.group:
            await self.channel_layer.group_discard(self.group, self.channel_name)


app = ProtocolTypeRouter({"websocket": Member.as_asgi()})
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", ws_per_message_deflate=False, loop="uvloop", lifespan="off")
