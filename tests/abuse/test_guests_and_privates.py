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
from support.clients import SECRET, Peer, server_bearer, token
from support.waiting import PATIENCE

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


async def test_nobody_hears_the_private_messages_of_a_guest_whose_name_is_in_use(server: Server, peers: Make) -> None:
    ada: Peer = await peers(server, guest="ada", guest_key="ada's own key, at random")
    assert ada.welcome["guest_key"] == "ada's own key, at random"
    eve: Peer = await peers(server)
    for fields in ({}, {"guest_key": "x" * 22}, {"since": ada.welcome["inbox"]}, {"since": {"epoch": "", "seq": 0}}):
        error = await eve.fail("connect", guest="ada", **fields)
        assert (error["code"], '"ada" is in use' in error["message"]) == ("FORBIDDEN", True)
    assert '"guest_key"' in (await eve.fail("connect", guest="ada", guest_key="short"))["message"]
    assert '"guest"' in (await eve.fail("connect", token="a.b.c", guest_key="x" * 22))["message"]
    tab: Peer = await peers(server, guest="ada", guest_key="ada's own key, at random")
    assert (await (await peers(server, guest="bob")).do("post", to={"user_id": "ada"}, message="psst"))[
        "recipients"
    ] == 2
    assert (await tab.event())["message"] == (await ada.event())["message"] == "psst"
    assert await eve.quiet()


async def test_who_takes_a_free_name_does_not_get_its_inbox(server: Server, peers: Make) -> None:
    ada: Peer = await peers(server)
    ada.welcome = await ada.do("connect", guest="ada")
    key, inbox = ada.welcome["guest_key"], ada.welcome["inbox"]
    assert len(key) == 22
    bob: Peer = await peers(server, guest="bob")
    await bob.do("post", to={"user_id": "ada"}, message="psst")
    await ada.socket.close()
    eve: Peer = await peers(server)
    welcome = await eve.do("connect", guest="ada", since=inbox)
    assert (welcome["replayed"], welcome["gap"]) == (0, True)
    assert welcome["inbox"]["epoch"] != inbox["epoch"]
    assert welcome["guest_key"] != key
    assert "in use" in (await (await peers(server)).fail("connect", guest="ada", guest_key=key))["message"]


async def test_keys_are_not_guessed_faster_than_commands_are_allowed(start: Make, peers: Make) -> None:
    server: Server = await start(rate_limit=0.01, rate_burst=5)
    await peers(server, guest="ada")
    eve: Peer = await peers(server)
    codes = [(await eve.fail("connect", guest="ada", guest_key=f"{number:022}"))["code"] for number in range(10)]
    assert codes == ["FORBIDDEN"] * 5 + ["RATE_LIMITED"] * 5


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
