"""A guest cannot take the id of a user; a client without the right to private messages cannot learn who is online."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect

import hubbub
from hubbub.server import Server
from support.clients import PATIENCE, SECRET, Peer, server_bearer, token

Make = Callable[..., Awaitable[Any]]


async def test_guests_beside_token_users_have_ids_of_their_own(start: Make, peers: Make) -> None:
    server: Server = await start(secret=SECRET, guests=True)
    ada: Peer = await peers(server, token=token("ada"), group="hall")
    guest: Peer = await peers(server, guest="ada", group="hall")
    assert ada.welcome["user_id"] == "ada"
    assert guest.welcome["user_id"] == "guest:ada"
    assert (await ada.event())["sender"] == "guest:ada"
    bob: Peer = await peers(server, token=token("bob"))
    assert (await bob.do("post", to={"user_id": "ada"}, message="for ada"))["recipients"] == 1
    assert (await ada.event())["message"] == "for ada"
    assert await guest.quiet()
    assert (await bob.do("post", to={"user_id": "guest:ada"}, message="for the guest"))["recipients"] == 1
    assert (await guest.event())["message"] == "for the guest"
    async with hubbub.connect(server.url, guest="eve") as client:
        assert client.user_id == "guest:eve"
    refused = await (await peers(server)).fail("connect", token=token("guest:ada"))
    assert refused["code"] == "UNAUTHORIZED"
    assert '"guest:"' in refused["message"]


async def test_the_prefix_counts_among_the_characters_of_an_id(start: Make, peers: Make) -> None:
    server: Server = await start(secret=SECRET, guests=True, max_user_id=10)
    await peers(server, guest="1234")
    peer: Peer = await peers(server)
    assert "1 to 4 characters" in (await peer.fail("connect", guest="12345"))["message"]


async def test_guests_alone_have_their_names_and_tokens_any(server: Server, secured: Server, peers: Make) -> None:
    assert (await peers(server, guest="ada")).welcome["user_id"] == "ada"
    assert (await peers(secured, token=token("guest:ada"))).welcome["user_id"] == "guest:ada"


async def test_nothing_private_by_any_way(secured: Server, peers: Make, browse: Any) -> None:
    ada: Peer = await peers(secured, token=token("ada"), group="hall")
    eve: Peer = await peers(secured, token=token("eve", private=False), group="hall")
    await ada.event()  # that eve came
    uuid = "6f1ad5b4-1b5c-4c7a-9a35-0d6e3c0f9a01"
    recipients: list[Any] = [{"user_id": "ada"}, {"user_id": "nobody"}, "ada", "nobody", uuid]
    errors = [await eve.fail("post", to=to, message="psst", min_recipients=0) for to in recipients]
    assert {error["code"] for error in errors} == {"FORBIDDEN"}
    assert len({error["message"] for error in errors}) == 1, "the error tells who is online"
    assert (await eve.do("post", to="hall", message="aloud"))["recipients"] == 2
    assert (await ada.event())["message"] == "aloud"
    http = browse(secured, headers=server_bearer(private=False))
    assert (await http.post("/v1/users/ada/messages", json={"message": 1})).status_code == 403
    assert (await http.post("/v1/groups/hall/messages", json={"message": 1})).status_code == 200


async def test_signals_of_the_legacy_dialect(secured: Server, peers: Make) -> None:
    ada: Peer = await peers(secured, token=token("ada"))
    address = f"{secured.url.replace('http', 'ws', 1)}/skapi/connect?token={token('eve', private=False)}"
    async with connect(address, proxy=None) as socket, asyncio.timeout(PATIENCE):
        for frame in (
            {"action": "rtc", "uid": f"cid:{ada.welcome['connection_id']}", "content": {"x": 1}},
            {"action": "sendMessage", "uid": "ada", "content": 1},
        ):
            await socket.send(json.dumps(frame))
            assert json.loads(await socket.recv())["#code"] == "FORBIDDEN"
    assert await ada.quiet()


@pytest.mark.parametrize("private", ["false", 0, None, []])
async def test_a_claim_that_is_no_boolean_is_refused(secured: Server, peers: Make, private: Any) -> None:
    claims = {"private": private} if private is not None else {"private": {}}
    assert '"private"' in (await (await peers(secured)).fail("connect", token=token("eve", **claims)))["message"]


async def test_a_renewed_token_takes_the_right_away(secured: Server, peers: Make) -> None:
    await peers(secured, token=token("ada"))
    eve: Peer = await peers(secured, token=token("eve"))
    await eve.do("post", to={"user_id": "ada"}, message=1)
    await eve.do("connect", token=token("eve", private=False))
    await eve.fail("post", to={"user_id": "ada"}, message=1)
