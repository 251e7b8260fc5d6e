"""Versions of the schema: which can share a store, how nodes are updated one after the other, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.backends.valkey import schema_version
from hubbub.backends.valkey.address import parse_address
from hubbub.backends.valkey.backend import ValkeyBackend
from hubbub.backends.valkey.schema import INCARNATIONS, shard_prefix
from hubbub.backends.valkey.schema_version import (
    CURRENT,
    FIRST,
    Version,
    node_id,
    parse_version,
    refusal,
    require_shared,
)
from hubbub.errors import CommandError, SettingsError, StoreError
from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import Peer, open_peer
from support.store import Store

PREFIX = shard_prefix(0)
NEXT = Version(CURRENT.number + 1, CURRENT.number)

versions = st.builds(lambda number, back: Version(number, max(1, number - back)), st.integers(1, 99), st.integers(0, 3))


@given(versions)
def test_the_key_is_read_as_it_was_written(version: Version) -> None:
    assert parse_version(str(version).encode()) == version


@pytest.mark.parametrize("value", [None, b"", b"x", b"2", b"2 1 0", b"-1 1", b"9" * 10 + b" 1"])
def test_a_key_that_cannot_be_read_is_the_first_version(value: bytes | None) -> None:
    assert parse_version(value) == FIRST


@given(versions, versions)
def test_two_versions_share_a_store_if_the_newer_one_says_so(one: Version, other: Version) -> None:
    newer, older = max(one, other), min(one, other)
    shared = older.number >= newer.oldest
    assert (refusal(newer, older) is None) == shared
    assert (refusal(older, newer) is None) == shared


@given(versions)
def test_a_version_and_the_one_before_share_a_store(version: Version) -> None:
    after = Version(version.number + 1, version.number)
    assert refusal(version, after) is refusal(after, version) is None


def test_this_version_shares_a_store_with_the_one_before() -> None:
    assert CURRENT.oldest <= CURRENT.number - 1


def test_the_id_of_a_node_begins_with_its_version() -> None:
    assert node_id("name", Version(12, 11)) == "12~name"


# --- on a store ---

Use = Callable[[Version], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Return a function that sets the version of nodes that are made from then on."""
    return lambda version: monkeypatch.setattr(schema_version, "CURRENT", version)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as running:
        yield running


async def serve(store: Store, stack: AsyncExitStack) -> Server:
    """Start a node that stops without waiting for clients."""
    settings = Settings(port=0, backend=store.url(), drain_spread=0, shutdown_timeout=1)
    return await stack.enter_async_context(Server(settings))


async def until_message(peer: Peer, message: str) -> None:
    while (event := await peer.event()).get("message") != message:
        assert event["type"] != "gap"


async def until_ready(backend: ValkeyBackend, ready: bool) -> None:
    while backend.ready != ready:
        await asyncio.sleep(0.01)


async def test_the_store_holds_the_version(store: Store, stack: AsyncExitStack) -> None:
    await serve(store, stack)
    assert await store.run("GET", f"{PREFIX}schema") == str(CURRENT).encode()


async def test_nodes_of_neighbouring_versions_are_updated_one_after_the_other(
    store: Store, stack: AsyncExitStack, use: Use
) -> None:
    async with AsyncExitStack() as old:
        first = await serve(store, old)
        ada = await open_peer(first, guest="ada")
        start = (await ada.do("join", group="g"))["position"]
        use(NEXT)
        second = await serve(store, stack)
        eve = await open_peer(second, guest="eve", group="g")
        for sender, receiver in ((ada, eve), (eve, ada)):
            await sender.do("post", to="g", message=f"to {id(receiver)}")
            await until_message(receiver, f"to {id(receiver)}")
        assert len((await ada.do("users", group="g"))["list"]) == 2
        await ada.socket.close()
    assert await store.run("GET", f"{PREFIX}schema") == str(NEXT).encode()
    ada = await open_peer(second, guest="ada")
    joined = await ada.do("join", group="g", since=start)
    assert (joined["replayed"], joined.get("gap", False)) == (2, False)  # also what the old node has kept
    # Back to the older version: its nodes can share what the newer one has written.
    use(CURRENT)
    third = await serve(store, stack)
    bob = await open_peer(third, guest="bob", group="g")
    await ada.do("post", to="g", message="still together")
    await until_message(bob, "still together")
    for peer in (ada, eve, bob):
        await peer.socket.close()


@pytest.mark.parametrize(
    ("stored", "own", "why"),
    [
        (Version(5, 4), Version(3, 2), "versions from 4 on can share; this Hubbub has version 3: update it"),
        (Version(1, 1), Version(3, 2), r"this Hubbub has version 3 .* from 2 on: stop all older nodes .*FLUSHDB"),
    ],
)
async def test_a_node_that_cannot_share_the_store_does_not_start_and_says_so(
    store: Store, stack: AsyncExitStack, use: Use, stored: Version, own: Version, why: str
) -> None:
    await store.run("SET", f"{PREFIX}schema", str(stored))
    use(own)
    with pytest.raises(SettingsError, match=f"^backend: cannot use the store: .*{why}"):
        await serve(store, stack)
    assert await store.run("GET", f"{PREFIX}schema") == str(stored).encode()
    assert await store.run("ZCARD", PREFIX + INCARNATIONS) == 0


async def test_a_node_does_not_start_while_one_that_is_too_old_is_alive(
    store: Store, stack: AsyncExitStack, use: Use
) -> None:
    async with AsyncExitStack() as old:
        await serve(store, old)
        use(NEXT)
        await serve(store, stack)
        use(Version(NEXT.number + 1, NEXT.number))
        with pytest.raises(SettingsError, match=f"a node with version {CURRENT.number} .*: stop the older nodes first"):
            await serve(store, stack)
    await serve(store, stack)
    use(CURRENT)
    with pytest.raises(SettingsError, match="update it"):
        await serve(store, stack)


async def test_a_store_of_the_first_version_has_no_key(store: Store, stack: AsyncExitStack, use: Use) -> None:
    await store.run("SET", f"{PREFIX}run", "x")
    await store.run("ZADD", PREFIX + INCARNATIONS, 1, "randomname.1")
    use(Version(3, 2))
    with pytest.raises(SettingsError, match="it has version 1 "):
        await serve(store, stack)
    use(Version(2, 1))
    await serve(store, stack)
    assert await store.run("GET", f"{PREFIX}schema") == b"2 1"
    use(Version(3, 2))
    with pytest.raises(SettingsError, match="a node with version 1 "):
        await serve(store, stack)


async def test_a_running_node_that_is_shut_out_is_unavailable_until_it_may_share_again(store: Store) -> None:
    backend = ValkeyBackend(parse_address(store.url()))
    await backend.start()
    await store.run("SET", f"{PREFIX}schema", f"{CURRENT.number + 2} {CURRENT.number + 1}")
    await store.run("CLIENT", "KILL", "TYPE", "pubsub")
    await store.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await until_ready(backend, False)
    with pytest.raises(CommandError, match="does not answer"):
        await backend.count()
    await store.run("SET", f"{PREFIX}schema", str(CURRENT))
    await until_ready(backend, True)
    await backend.close()


async def test_programs_that_are_not_nodes_are_refused_too(store: Store) -> None:
    await require_shared(store.run, PREFIX)  # nobody was ever there
    await store.run("SET", f"{PREFIX}run", "x")
    await require_shared(store.run, PREFIX)  # version 1
    await store.run("SET", f"{PREFIX}schema", f"{CURRENT.number + 2} {CURRENT.number + 1}")
    with pytest.raises(StoreError) as raised:
        await require_shared(store.run, PREFIX)
    assert "update it" in raised.value.reason
