"""What one user can make the backend keep is bounded in bytes, on every backend; others notice nothing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec import Raw

from hubbub.backends.base import Backend
from hubbub.backends.memory import MemoryBackend
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.errors import CommandError
from hubbub.groups.directory import parse_query
from hubbub.groups.history import KEY, OVERHEAD, Window
from hubbub.messages import Groups, Message, Private, UserRow
from support.store import Store
from support.store_model import NoticeRecorder

USER = 100_000
WINDOW = Window(user=USER, bytes=30_000, messages=50, inbox=10)
ADA, BOB, EVE = UserRow("ada", "1"), UserRow("bob", "2"), UserRow("eve", "3")
LARGE = Raw(b'"' + b"x" * 5000 + b'"')


@pytest.fixture(params=["memory", "valkey"])
async def limited(request: pytest.FixtureRequest, store: Store) -> Backend:
    valkey = request.param == "valkey"
    backend: Backend = ValkeyBackend(parse_address(store.url()), WINDOW) if valkey else MemoryBackend(WINDOW)
    backend.attach(NoticeRecorder())
    await backend.start()
    for row in (ADA, BOB, EVE):
        await backend.connect(row, 10)
    return backend


async def until_refused(post: Callable[[int], Coroutine[Any, Any, None]], most: int = USER) -> int:
    """Return how often `post` could be done until it was refused."""
    for number in range(most):
        try:
            await post(number)
        except CommandError as error:
            assert error.code == "RATE_LIMITED"
            assert str(most) in error.message
            assert "history_user" in error.message
            return number
    raise AssertionError("never refused")


async def test_messages_in_many_groups(limited: Backend) -> None:
    async def post(number: int) -> None:
        await limited.join(EVE, f"g{number // 5}")
        await limited.publish(Message(LARGE, "eve", "3", f"g{number // 5}", 0))

    assert 0.8 * USER < await until_refused(post) * (len(LARGE) + OVERHEAD) <= USER * 1.1
    # Others go on.
    await limited.join(ADA, "g0")
    await limited.publish(Message(LARGE, "ada", "1", "g0", 0))
    assert (await limited.join(BOB, "g0", history=1)).events[0].sender == "ada"
    await limited.close()


async def test_private_messages_to_many_users(limited: Backend) -> None:
    async def post(number: int) -> None:
        await limited.connect(UserRow(f"user{number}", f"c{number}"), 10)
        await limited.post_to_user(f"user{number}", Private(LARGE, "eve", "3"))

    assert 0.8 * USER < await until_refused(post) * (len(LARGE) + OVERHEAD) <= USER * 1.1
    await limited.post_to_user("eve", Private(LARGE, "ada", "1"))  # others are not refused
    await limited.close()


async def test_keys(limited: Backend) -> None:
    await limited.join(EVE, "g")

    async def post(number: int) -> None:
        await limited.publish(Message(Raw(b"1"), "eve", "3", "g", 0), f"{'k' * 300}{number}")

    done = await until_refused(post)
    assert done <= USER / KEY
    # What was done before is still known: it is answered, and not done again.
    await limited.publish(Message(Raw(b"1"), "eve", "3", "g", 0), f"{'k' * 300}0")
    assert (await limited.join(EVE, "g")).position.seq == done
    await limited.close()


async def test_who_posts_to_one_group_only_is_never_refused(limited: Backend) -> None:
    await limited.join(ADA, "g")
    for number in range(300):  # 20 times the bound, and of different sizes
        await limited.publish(Message(Raw(b'"' + b"x" * (number * 977 % 9000) + b'"'), "ada", "1", "g", 0))
    await limited.close()


async def test_the_programs_of_the_operator_have_no_bound(limited: Backend) -> None:
    for number in range(3 * USER // len(LARGE)):
        await limited.join(EVE, f"g{number}")
        await limited.publish(Message(LARGE, "backend", None, f"g{number}", 0), f"key{number}")
    await limited.close()


async def test_opening_groups_in_a_store(store: Store) -> None:
    backend = ValkeyBackend(parse_address(store.url()), WINDOW)
    backend.attach(NoticeRecorder())
    await backend.start()
    await backend.connect(EVE, 10)
    await backend.connect(ADA, 10)
    await backend.join(ADA, "g")

    async def open_group(number: int) -> None:
        await backend.join(EVE, f"{number}" + "n" * 250)

    last = await until_refused(open_group)
    assert last * 500 <= USER
    # It stays where it was, and may go where others are.
    assert (await backend.groups(parse_query(Groups(), 1000))).list[0].group == f"{last - 1}" + "n" * 250
    await backend.join(EVE, "g")
    await backend.close()


async def test_listening_to_new_groups_in_a_store(store: Store) -> None:
    backend = ValkeyBackend(parse_address(store.url()), WINDOW)
    backend.attach(NoticeRecorder())
    await backend.start()
    await backend.listen("g")

    async def listen(number: int) -> None:
        name = f"{number}" + "n" * 250
        await backend.listen(name, charged="eve")
        await backend.unlisten(name)

    assert await until_refused(listen) * 500 <= USER
    await backend.listen("g", charged="eve")  # it exists
    await backend.listen("new", charged="ada")
    for group in ("g", "g", "new"):
        await backend.unlisten(group)
    await backend.close()


async def test_a_store_keeps_of_one_user_what_was_counted(store: Store) -> None:
    window = Window(user=4_000_000)
    backend = ValkeyBackend(parse_address(store.url()), window)
    backend.attach(NoticeRecorder())
    await backend.start()
    await backend.connect(EVE, 10)
    before = await used(store)

    async def post(number: int) -> None:
        if number % 20 == 0:
            await backend.join(EVE, f"g{number}")
        message = Raw(b'"' + b"x" * (number * 7919 % 3000) + b'"')
        await backend.publish(Message(message, "eve", "3", f"g{number - number % 20}", 0), f"{'k' * 250}{number}")

    await until_refused(post, most=window.user)
    assert (await used(store) - before) < 1.25 * window.user
    await backend.close()


async def used(store: Store) -> int:
    info = await store.run("INFO", "memory")
    assert isinstance(info, bytes)
    return int(info.partition(b"used_memory:")[2].split()[0])
