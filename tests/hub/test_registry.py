"""What is checked of a hook when it is defined: each error says what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pytest

from hubbub.hub.registry import Registry
from hubbub.hub.types import HookError, Member, Post, User


class Chat(msgspec.Struct):
    text: str


def define(register: Callable[[Registry], Any]) -> str:
    """Return the text of the error that a definition raises."""
    with pytest.raises(HookError) as refused:
        register(Registry())
    assert isinstance(refused.value, TypeError)
    return str(refused.value)


def test_every_decorator_returns_the_function() -> None:
    hub = Registry()

    async def who(conn: object) -> User | None: ...
    async def join(member: Member, team: str) -> None: ...
    async def post(post: Post[Chat], team: str) -> Chat | None: ...
    async def every(post: Post[Any]) -> Any: ...
    async def left(member: Member, group: str, why: str) -> None: ...
    async def gone(member: Member) -> None: ...

    assert hub.on_connect(who) is who
    assert hub.on_join("team-{team}")(join) is join
    assert hub.on_post("team-{team}")(post) is post
    assert hub.on_post(every) is every
    assert hub.on_private(every) is every
    assert hub.on_leave(left) is left
    assert hub.on_disconnect(gone) is gone
    assert [hook.function for hook in hub.hooks("on_post")] == [post, every]
    assert hub.hooks("on_join")[0].label == ("on_join", "team-{team}")


def test_a_plain_function_is_refused() -> None:
    def join(member: Member) -> None: ...

    assert '"async def"' in define(lambda hub: hub.on_join(join))  # type: ignore[type-var]
    assert "asyncio.to_thread" in define(lambda hub: hub.on_connect(join))  # type: ignore[type-var]


async def too_few() -> None: ...
async def unknown_argument(member: Member, room: str) -> None: ...
async def without_the_name(member: Member) -> None: ...
async def returns_bool(member: Member) -> bool:
    return True


async def takes_no_post(message: str) -> None: ...


@pytest.mark.parametrize(
    ("register", "hints"),
    [
        (lambda hub: hub.on_join("team-{team}")(too_few), ["must take (member, team)", "async def may_join"]),
        (lambda hub: hub.on_join("team-{team}")(unknown_argument), ["'room'", "(member, team)"]),
        (lambda hub: hub.on_join(unknown_argument), ["'room'", "without a pattern"]),
        (lambda hub: hub.on_join("team-{team}")(without_the_name), ["add 'team'"]),
        (lambda hub: hub.on_join(returns_bool), ["raise Deny", "bool"]),
        (lambda hub: hub.on_post(takes_no_post), ["Post[ChatMessage]", "str"]),
        (lambda hub: hub.on_leave(without_the_name), ["(member, group, why)"]),
        (lambda hub: hub.on_post(7), ["pattern", "7"]),
        (lambda hub: hub.on_disconnect(None), ["decorates a function"]),
    ],
)
def test_a_wrong_signature_is_refused(register: Callable[[Registry], Any], hints: list[str]) -> None:
    text = define(register)
    for hint in hints:
        assert hint in text


def test_annotations_that_cannot_be_read_are_refused() -> None:
    async def post(post: Post[Nowhere]) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert "Nowhere" in define(lambda hub: hub.on_post(post))


def test_a_message_type_that_nothing_can_read_is_refused() -> None:
    class Opaque: ...

    async def post(post: Post[Opaque]) -> None: ...

    assert "cannot take messages" in define(lambda hub: hub.on_post(post))


def test_types_that_are_local_to_a_function_are_found() -> None:
    @dataclass
    class Local:
        text: str

    hub = Registry()

    @hub.on_post
    async def post(post: Post[Local]) -> Local | None: ...

    converter = hub.hooks("on_post")[0].converter
    assert converter.decode(msgspec.Raw(b'{"text":"x"}')) == Local("x")


def test_two_hooks_for_the_same_groups_are_refused() -> None:
    async def one(member: Member, team: str) -> None: ...
    async def two(member: Member, other: str) -> None: ...

    hub = Registry()
    hub.on_join("team-{team}")(one)
    with pytest.raises(HookError, match="same groups"):
        hub.on_join("team-{other}")(two)
    hub.on_join("team-{other}-x")(two)

    async def who(conn: object) -> User | None: ...

    hub.on_connect(who)
    with pytest.raises(HookError, match="Remove one of them"):
        hub.on_connect(who)


def test_hooks_cannot_be_added_after_the_start() -> None:
    async def join(member: Member) -> None: ...

    hub = Registry()
    hub.freeze()
    with pytest.raises(HookError, match="has been started"):
        hub.on_join(join)


def test_partial_functions_and_objects_can_be_hooks() -> None:
    async def join(limit: int, member: Member, **names: str) -> None: ...

    class Checker:
        async def __call__(self, post: Post[Chat]) -> Chat | None: ...

    hub = Registry()
    hub.on_join("team-{team}")(partial(join, 7))
    hub.on_post(Checker())
    converter = hub.hooks("on_post")[0].converter
    assert converter.decode(msgspec.Raw(b'{"text":"x"}')) == Chat("x")
