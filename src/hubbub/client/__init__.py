"""The Python client: `connect` to a server, join a group, post, list, and receive events.

Example::

    async with hubbub.connect("http://127.0.0.1:8000", guest="alice") as client:
        await client.join_realtime("HelloWorld")
        await client.post_realtime({"msg": "Hello World!"}, "HelloWorld")
        async for event in client:
            print(event)
"""

from hubbub.client.client import Client, connect
from hubbub.client.events import (
    Closed,
    Connected,
    Event,
    Gap,
    Message,
    Notice,
    Other,
    Private,
    Problem,
    Reconnecting,
)
from hubbub.client.live import Change, LiveQuery
from hubbub.client.results import Joined, Page, Sent
from hubbub.messages import GroupRow, Position, UserRow

__all__ = [
    "Change",
    "Client",
    "Closed",
    "Connected",
    "Event",
    "Gap",
    "GroupRow",
    "Joined",
    "LiveQuery",
    "Message",
    "Notice",
    "Other",
    "Page",
    "Position",
    "Private",
    "Problem",
    "Reconnecting",
    "Sent",
    "UserRow",
    "connect",
]
