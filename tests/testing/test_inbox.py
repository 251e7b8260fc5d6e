"""What was received and not read, and the text of a test that waits for something that does not come."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.client.events import Message, Notice
from hubbub.testing.inbox import SHOWN, Inbox
from hubbub.testing.virtual_time import virtual_time


def message(number: int) -> Message:
    return Message(f"number {number}", "ada", "c", "g", number)


NOTICE = Notice("Ada has joined.", "ada", "c", "g", "USER_JOINED", 1)


async def test_each_kind_is_taken_in_order() -> None:
    inbox = Inbox(virtual_time(), "bob")
    for event in (message(1), NOTICE, message(2)):
        inbox.put(event)
    assert (await inbox.take("notice", Notice, 1)) is NOTICE
    assert [(await inbox.take("message", Message, 1)).seq for _ in range(2)] == [1, 2]
    assert inbox.unread == ()


async def test_an_event_that_comes_later() -> None:
    inbox, clock = Inbox(virtual_time(), "bob"), virtual_time()
    began = clock.monotonic()
    asyncio.get_running_loop().call_later(50, inbox.put, message(1))
    assert (await inbox.take("message", Message, 60)).seq == 1
    assert clock.monotonic() - began == 50


async def test_a_failure_says_what_has_come() -> None:
    inbox = Inbox(virtual_time(), "bob")
    for number in range(SHOWN + 2):
        inbox.put(message(number))
    await inbox.take("message", Message, 1)
    with pytest.raises(AssertionError) as failure:
        await inbox.take("notice", Notice, 60)
    text = str(failure.value)
    assert text.startswith("bob: no notice came within 60 s.\nunread: \n  Message(message='number 1'")
    assert "and 1 more" in text
    assert "read before: \n  Message(message='number 0'" in text


async def test_nothing_can_come_any_more() -> None:
    inbox = Inbox(virtual_time(), "bob")
    inbox.put(message(1))
    inbox.end("the connection was closed with 4002 (the token has expired)")
    await inbox.take("message", Message, 60)
    with pytest.raises(AssertionError, match=r"no message can come: .*4002"):
        await inbox.take("message", Message, 60)
