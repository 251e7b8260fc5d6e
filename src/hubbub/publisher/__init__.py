"""Publish without joining: `Publisher` for programs without an event loop, `AsyncPublisher` for those with one.

Example::

    with hubbub.Publisher("https://chat.example.com", token=token) as publisher:
        publisher.post("kitchen", {"order": 17}, key="order-17")
"""

from hubbub.client.results import Page, Sent
from hubbub.messages import GroupRow, UserRow
from hubbub.publisher.publisher import Publisher
from hubbub.publisher.publishing import AsyncPublisher

__all__ = ["AsyncPublisher", "GroupRow", "Page", "Publisher", "Sent", "UserRow"]
