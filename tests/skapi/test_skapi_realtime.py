"""The unmodified ``skapi-js`` in Chromium: connect, join, leave, post, notices, private messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from helpers import token
from pages import VERSIONS, User, needs_skapi, user_id

pytestmark = [needs_skapi, pytest.mark.asyncio(loop_scope="session")]

Visit = Callable[..., Awaitable[User]]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_conversation(visit: Visit, version: str) -> None:
    ada = await visit("ada", version, group="HelloWorld")
    bob = await visit("bob", version)
    assert await bob.do("joinRealtime", {"group": "HelloWorld"}) == {
        "type": "success",
        "message": 'Joined realtime message group: "HelloWorld".',
    }
    assert await bob.do("postRealtime", {"msg": "hi"}, "HelloWorld") == {"type": "success", "message": "Message sent."}
    text = f'User "{bob.id}" has joined the message group.'
    notice = {"type": "notice", "message": text, "sender": bob.id, "sender_rid": "HelloWorld", "code": "USER_JOINED"}
    heard = [await ada.next(), await ada.next(), await bob.next()]
    cid = heard[0].pop("sender_cid")
    message = {"type": "message", "message": {"msg": "hi"}, "sender": bob.id, "sender_cid": cid}
    message |= {"sender_rid": "HelloWorld", "code": None}
    assert heard == [notice, message, message]
    await bob.settle()
    assert bob.cid == cid
    assert (ada.complaints, bob.complaints) == ([], [])
