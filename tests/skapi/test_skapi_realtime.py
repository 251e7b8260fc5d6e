"""The unmodified ``skapi-js`` in Chromium: connect, join, leave, post, notices, private messages, coming back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from hubbub.server import Server
from hubbub.settings import Settings
from support.clients import SECRET, Peer, token
from support.skapi_pages import VERSIONS, Site, User, needs_skapi, user_id

pytestmark = [needs_skapi, pytest.mark.asyncio(loop_scope="session")]

Visit = Callable[..., Awaitable[User]]
Peers = Callable[..., Awaitable[Peer]]
Pair = Callable[[str], Awaitable[tuple[User, User]]]

LEFT = {"type": "success", "message": "Left realtime message group."}
SENT = {"type": "success", "message": "Message sent."}


@pytest_asyncio.fixture(loop_scope="session")
async def pair(visit: Visit) -> Pair:
    """Let Ada and Bob come to a group, and forget that Ada saw Bob come."""

    async def come(group: str) -> tuple[User, User]:
        ada, bob = await visit("ada", group=group), await visit("bob", group=group)
        assert (await ada.next())["code"] == "USER_JOINED"
        return ada, bob

    return come


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_conversation(visit: Visit, version: str) -> None:
    ada = await visit("ada", version, group="HelloWorld")
    bob = await visit("bob", version)
    assert await bob.do("joinRealtime", {"group": "HelloWorld"}) == {
        "type": "success",
        "message": 'Joined realtime message group: "HelloWorld".',
    }
    assert await bob.do("postRealtime", {"msg": "hi"}, "HelloWorld") == SENT
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


@pytest.mark.parametrize("version", VERSIONS)
async def test_leave(visit: Visit, version: str) -> None:
    ada, bob = await visit("ada", version, group="leaving"), await visit("bob", version)
    for nothing in ("", None):
        await bob.join("leaving")
        assert (await ada.next())["code"] == "USER_JOINED"
        assert await bob.do("joinRealtime", {"group": nothing}) == LEFT
        await bob.settle()
        left = await ada.next()
        assert (left["type"], left["code"], left["sender"]) == ("notice", "USER_LEFT", bob.id)
        assert left["message"] == f'User "{bob.id}" has left the message group.'
        await ada.do("postRealtime", "is anybody here?", "leaving")
        assert (await ada.next())["message"] == "is anybody here?"
        assert await bob.quiet()


async def test_switch_groups(pair: Pair) -> None:
    ada, bob = await pair("one")
    await bob.join("two")
    assert (await ada.next())["code"] == "USER_LEFT"
    await bob.do("postRealtime", 1, "two")
    assert (await bob.next())["sender_rid"] == "two"
    assert await ada.quiet()


async def test_joining_again_announces_nothing(pair: Pair) -> None:
    ada, bob = await pair("again")
    await bob.join("again")
    assert await ada.quiet()


@pytest.mark.parametrize("version", VERSIONS)
async def test_private_messages_while_in_a_group(visit: Visit, version: str) -> None:
    ada, bob = await visit("ada", version, group="private"), await visit("bob", version, group="elsewhere")
    assert await ada.do("postRealtime", {"secret": 1}, bob.id) == SENT
    assert await bob.next() == {
        "type": "private",
        "message": {"secret": 1},
        "sender": ada.id,
        "sender_cid": ada.cid,
        "sender_rid": None,
        "code": None,
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_post_a_form(visit: Visit, version: str) -> None:
    ada = await visit("ada", version, group="forms")
    await ada.page.evaluate("""() => {
        document.body.innerHTML = `<form onsubmit="event.preventDefault(); skapi.postRealtime(event, 'forms')">
            <input name=msg value="50% of é"><input name=n type=number value=7><input name=yes type=checkbox checked>
            <button>Send</button></form>`;
        document.querySelector('button').click();
    }""")
    assert (await ada.next())["message"] == {"msg": "50% of é", "n": 7, "yes": True}


DEEP: Any = "core"
for _ in range(60):
    DEEP = {"in": [DEEP]} if isinstance(DEEP, str) else [DEEP]

EXACT = {
    "percent": "%",
    "percent escapes": ["50% off", "100%25", "%C3%A9", "%zz", "%23", "\\%41", "\\\\%"],
    "quotes": '"\'`\\"\\',
    "emoji": "👩‍👩‍👧‍👦🇩🇪é",
    "half surrogate pairs": ["\ud800", "a\udfff%", "\udc00\ud800"],
    "hash": {"#message": "#", "#error": {"#code": "X"}},
    "control characters": "".join(map(chr, range(32))) + "\x7f\u2028\u2029\ufeff\uffff",
    "60 KB": "é%" * 20_000,
    "deep": DEEP,
    "numbers": [0, -1, 1.5, 1e300, 5e-324, 9007199254740993, 0.1],
    "no words": [[], {}, None, False, True, ""],
    "keys": {"": 1, "__proto__": 2, "%": 3, "action": "keepAlive", "\ud800": 4},
}


@pytest.mark.parametrize("version", VERSIONS)
async def test_payloads_arrive_exactly(visit: Visit, version: str) -> None:
    ada = await visit("ada", version, group="50% #exact")
    for name, payload in EXACT.items():
        text = json.dumps(payload)
        for recipient in ("50% #exact", ada.id):
            sent = "async ([text, to]) => { await skapi.postRealtime(JSON.parse(text), to); }"
            await ada.run(sent, [text, recipient])
            # Compared on the page, by the page's own JSON: numbers are what JavaScript makes of them.
            same = """async text => {
                const event = await next();
                return [event.type, JSON.stringify(event.message) === JSON.stringify(JSON.parse(text))];
            }"""
            kind = "private" if recipient == ada.id else "message"
            assert await ada.run(same, text) == [kind, True], name


async def test_falsy_payloads_are_sent_for_those_who_can_hear_them(visit: Visit, peers: Peers) -> None:
    eve, ada = await peers(token=token("eve"), group="falsy"), await visit("ada", group="falsy")
    assert (await eve.event())["code"] == "USER_JOINED"
    for payload in (0, "", False, None):
        await ada.do("postRealtime", payload, "falsy")
        assert json.dumps((await eve.event())["message"]) == json.dumps(payload)
    await ada.page.evaluate("() => skapi.postRealtime(undefined, 'falsy')")
    assert (await eve.event())["message"] is None
    assert await ada.quiet()  # the client itself drops all five


async def test_a_group_with_members_of_both_dialects(visit: Visit, peers: Peers) -> None:
    ada, eve = await visit("ada", group="mixed"), await peers(token=token("eve"), group="mixed")
    assert (await ada.next())["message"] == 'User "eve" has joined the message group.'
    await ada.do("postRealtime", {"from": "ada 100%"}, "mixed")
    assert await eve.event() == {
        "type": "message",
        "message": {"from": "ada 100%"},
        "sender": ada.id,
        "sender_cid": ada.cid.removeprefix("cid:"),
        "sender_rid": "mixed",
        "code": None,
        "seq": 1,
    }
    assert (await ada.next())["message"] == {"from": "ada 100%"}
    await eve.do("post", to={"group": "mixed"}, message={"from": "eve"})
    await eve.do("post", to={"user_id": ada.id}, message="psst")
    first, second = await ada.next(), await ada.next()
    assert (first["type"], first["message"], first["sender"]) == ("message", {"from": "eve"}, "eve")
    assert (second["type"], second["message"], second["sender"]) == ("private", "psst", "eve")
    await ada.do("joinRealtime", {"group": None})
    await eve.event()
    assert (await eve.event())["code"] == "USER_LEFT"


async def test_a_group_whose_name_looks_like_a_user(pair: Pair) -> None:
    ada, bob = await pair(user_id("a group"))
    await bob.do("postRealtime", "hi", user_id("a group"))  # the client calls this a private message
    assert (await ada.next())["type"] == "message"


@pytest.mark.parametrize("version", VERSIONS)
async def test_disconnect_by_closing_the_page_and_by_the_client(visit: Visit, version: str) -> None:
    ada = await visit("ada", version, group="leaving")
    bob, cat = await visit("bob", version, group="leaving"), await visit("cat", version, group="leaving")
    assert [(await ada.next())["code"] for _ in range(2)] == ["USER_JOINED"] * 2
    await bob.do("closeRealtime")
    assert (await bob.next())["code"] == "USER_JOINED"  # of cat
    assert (await bob.next())["type"] == "close"
    await cat.page.close()
    for gone in (bob, cat):
        notice = await ada.next()
        assert (notice["code"], notice["sender"]) == ("USER_DISCONNECTED", gone.id)
        assert notice["message"] == f'User "{gone.id}" has been disconnected and left the message group.'
    await bob.connect()
    await bob.join("leaving")
    assert (await ada.next())["code"] == "USER_JOINED"


async def test_refusals_reach_the_callback(visit: Visit) -> None:
    ada = await visit("ada", group="refusals", groups=["refusals", "x%*"])
    await ada.do("joinRealtime", {"group": "forbidden 50%"})
    text = 'Your rights ("groups") do not allow the group "forbidden 50%".'
    error = {"type": "error", "message": text, "sender": None, "sender_cid": None, "sender_rid": None}
    assert await ada.next() == {**error, "code": "FORBIDDEN"}
    await ada.do("joinRealtime", {"group": "x%" + "x" * 300})
    assert (await ada.next())["message"] == '"group" must be 1 to 256 characters; it is 302 characters long.'
    await ada.settle()


async def test_no_answer_to_the_sign_of_life(visit: Visit) -> None:
    """The client sends one at once when it connects: had it been refused, the callback would have heard."""
    ada = await visit("ada")
    assert await ada.quiet()


async def test_a_wrong_token_is_refused(visit: Visit) -> None:
    ada = await visit("ada", connect=False)
    await ada.run("() => { skapi.session.accessToken.jwtToken += 'x'; skapi.connectRealtime(hear); }")
    assert [(await ada.next())["type"], (await ada.next())["type"]] == ["error", "close"]


async def test_pages_come_back_when_the_server_does(visit: Visit, site: Site) -> None:
    """The client tries again once, three seconds after it lost the server, and joins its group by itself."""
    async with Server(Settings(port=0, secret=SECRET, origins=(site.origin,))) as server:
        pages = [await visit(f"ada {version}", version, server=server, group=version) for version in VERSIONS]
        port = int(server.url.rpartition(":")[2])
    async with Server(Settings(port=port, secret=SECRET, origins=(site.origin,))):
        for ada, version in zip(pages, VERSIONS, strict=True):
            assert [(await ada.next())["type"] for _ in range(3)] == ["error", "reconnect", "success"]
            await ada.settle()
            await ada.do("postRealtime", "back", version)
            assert (await ada.next())["message"] == "back"
