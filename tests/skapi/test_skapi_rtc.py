"""Two pages talk directly (WebRTC) after Hubbub has passed their signals: offer, answer, candidates, pickup, hangup."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from support.clients import Peer, token
from support.skapi_pages import VERSIONS, User, needs_skapi

pytestmark = [needs_skapi, pytest.mark.asyncio(loop_scope="session")]

Visit = Callable[..., Awaitable[User]]

# Nobody is asked for the address: both pages are on this machine.
CALL = """async cid => {
    const answers = [], heard = event => event.type === 'message' && answers.push(event.data);
    const call = await skapi.connectRTC({cid, ice: 'stun:127.0.0.1:9', channels: ['text-chat']}, heard);
    const {channels, hangup} = await call.connection;
    const channel = channels['text-chat'];
    if (channel.readyState !== 'open') await new Promise(open => channel.addEventListener('open', open));
    window.hangup = hangup;
    const answer = new Promise(resolve => channel.addEventListener('message', event => resolve(event.data)));
    channel.send('100% direct 👋');
    return answer;
}"""

ANSWER = """async () => {
    const call = await next();
    const echo = event => event.type === 'message' && event.target.send('you said: ' + event.data);
    await call.connectRTC({ice: 'stun:127.0.0.1:9'}, echo);
    return [call.type, call.sender, call.sender_cid];
}"""


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_data_channel(visit: Visit, version: str) -> None:
    ada, bob = await visit("ada", version), await visit("bob", version)
    await ada.settle()
    await bob.settle()
    incoming, answer = await asyncio.gather(bob.run(ANSWER), ada.run(CALL, bob.cid))
    assert incoming == ["rtc:incoming", ada.id, ada.cid]
    assert answer == "you said: 100% direct 👋"
    await ada.run("() => { hangup(); }")
    closed = await bob.next()
    assert (closed["type"], closed["sender_cid"]) == ("rtc:closed", ada.cid)


async def test_a_signal_reaches_one_connection_and_nobody_else(
    visit: Visit, peers: Callable[..., Awaitable[Peer]]
) -> None:
    ada, bob = await visit("ada"), await visit("bob")
    tab, eve = await visit("bob", tab_of=bob), await peers(token=token("eve"))
    await bob.settle()
    assert (await tab.next())["message"] == {"settled": "bob"}
    await ada.run("cid => { skapi.connectRTC({cid, ice: 'stun:127.0.0.1:9'}, () => {}); }", bob.cid)
    assert (await bob.next())["type"] == "rtc:incoming"
    assert await tab.quiet()
    assert await eve.quiet()


async def test_nobody_there_is_no_error(visit: Visit) -> None:
    """As with private messages: whom one calls may be gone by now."""
    ada = await visit("ada")
    await ada.run("cid => { skapi.connectRTC({cid, ice: 'stun:127.0.0.1:9'}, () => {}); }", "cid:nobody")
    assert await ada.quiet()
