"""A node that stops sends its connections to the other nodes, and other members get no notices."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import Peer
from support.key_server import KeyServer, key_set, public_jwk, signed
from support.store import Store

Start = Callable[..., Awaitable[Server]]
Peers = Callable[..., Awaitable[Peer]]


async def test_moving_to_another_node_is_not_announced(start: Start, store: Store, peers: Peers) -> None:
    stays = await start(backend=store.url())
    ada = await peers(stays, guest="ada", group="g")
    async with Server(Settings(port=0, backend=store.url())) as stops:
        bob = await peers(stops, guest="bob", group="g")
        assert (await ada.event())["code"] == "USER_JOINED"
        position = (await bob.do("join", group="g"))["position"]
        stops.stop()
        restart = await bob.event()
        assert (restart["type"], restart["after"]) == ("restart", 0.0)
        await ada.do("post", to="g", message="meanwhile")
        await bob.closed()
    assert (await ada.event())["message"] == "meanwhile"
    again = await peers(stays, guest="bob")
    assert (await again.do("join", group="g", since=position))["replayed"] == 1
    assert (await again.event())["message"] == "meanwhile"
    await again.do("post", to="g", message="here again")
    assert (await ada.event())["message"] == "here again"  # and nothing before it


async def test_a_ticket_of_one_node_is_accepted_by_another_that_shares_only_the_secret_in_the_store(
    start: Start, store: Store, peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with KeyServer(key_set(public_jwk("EdDSA", "k"))) as keys:
        stays = await start(backend=store.url(), jwks_url=keys.url)
        expires = int(time.time()) + 100
        async with Server(Settings(port=0, backend=store.url(), jwks_url=keys.url)) as stops:
            ada = await peers(stops, token=signed("EdDSA", "k", sub="ada", exp=expires), group="g")
            stops.stop()
            ticket = (await ada.event())["ticket"]
            await ada.closed()
        welcome = await (await peers(stays)).do("connect", ticket=ticket)
        assert (welcome["user_id"], welcome["expires"]) == ("ada", expires)
