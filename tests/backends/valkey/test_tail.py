"""A store that comes back without the last messages, as after a failover to a replica that lacks them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hubbub.server import Server
from support.clients import Peer
from support.store import Store

Start = Callable[..., Awaitable[Server]]
Peers = Callable[..., Awaitable[Peer]]


async def event(peer: Peer, kind: str) -> dict[str, object]:
    """Return the next event of a kind."""
    while (found := await peer.event())["type"] != kind:
        pass
    return found


async def test_the_same_numbers_for_other_messages_are_no_continuation(start: Start, peers: Peers) -> None:
    with Store() as store:
        server = await start(backend=store.url())
        ada = await peers(server, guest="ada")
        begin = (await ada.do("join", group="g"))["position"]
        await ada.do("post", to="g", message="kept")
        await store.run("SAVE")
        for _ in range(2):
            await ada.do("post", to="g", message="lost")
        old = (await ada.do("join", group="g"))["position"]
        assert old == {"epoch": begin["epoch"], "seq": 3}
        store.kill()
        store.start()
        while "error" in await ada.ask("groups"):
            await asyncio.sleep(0.01)

        told = await event(ada, "gap")  # a connected member gets the gap
        assert (told["sender_rid"], told["position"]) == ("g", (await ada.do("join", group="g"))["position"])
        for number in (2, 3, 4):
            await ada.do("post", to="g", message=f"new {number}")
            assert (await event(ada, "message"))["seq"] == number

        bob = await peers(server, guest="bob")  # so does a client that resumes, though each number exists
        for seq in (1, 2, 3):
            back = await bob.do("join", group="g", since={"epoch": begin["epoch"], "seq": seq})
            assert (back["gap"], back.get("replayed", 0)) == (True, 0)
        now = back["position"]
        assert now["epoch"] != begin["epoch"]
        again = await bob.do("join", group="g", since={**now, "seq": 1})  # and what the store has is replayed
        assert (again.get("gap", False), again["replayed"]) == (False, 3)
        assert [(await event(bob, "message"))["message"] for _ in range(3)] == ["new 2", "new 3", "new 4"]
