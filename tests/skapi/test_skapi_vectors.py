"""The golden vectors of dialect skapi, held against the client from npm: what it says, and how it hears."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.skapi_pages import VERSIONS, User, needs_skapi

pytestmark = [needs_skapi, pytest.mark.asyncio(loop_scope="session")]

VECTORS = Path(__file__).parent.parent / "vectors"

LISTEN_IN = """() => {
    const send = WebSocket.prototype.send;
    window.said = [];
    window.alive = new Promise(tell => {
        WebSocket.prototype.send = function (frame) {
            window.line = this;
            const {token, ...rest} = JSON.parse(frame);
            if (rest.action === 'keepAlive') tell([token, rest]);
            else said.push([token, rest]);
            send.call(this, frame);
        };
    });
}"""

SAY = """async text => {
    const {rid, js} = JSON.parse(text);
    await skapi.joinRealtime({group: rid});
    said.length = 0;
    await skapi[js.method](...js.args.map(each => each === 'undefined' ? undefined : each));
    return said;
}"""

HEAR = """frames => {
    for (const data of frames) line.dispatchEvent(new MessageEvent('message', {data}));
    return heard.splice(0);
}"""


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_client_says_and_hears(visit: Callable[..., Awaitable[User]], version: str) -> None:
    ada = await visit("ada", version, connect=False)
    await ada.run(LISTEN_IN)
    await ada.connect()
    assert await ada.run("() => alive") == [None, {"action": "keepAlive"}]
    for vector in json.loads((VECTORS / "skapi_commands.json").read_text()):
        if vector["js"] is not None:
            ((token, frame),) = await ada.run(SAY, json.dumps(vector))
            assert token.count(".") == 2
            assert frame == vector["frame"], vector["name"]
    await ada.do("joinRealtime", {"group": None})
    await ada.do("postRealtime", "the end of what it heard of itself", ada.id)
    while (await ada.next())["message"] != "the end of what it heard of itself":
        pass
    for vector in json.loads((VECTORS / "skapi_events.json").read_text()):
        expected = [] if vector["heard"] is None else [vector["heard"]]
        assert await ada.run(HEAR, [vector["frame"]]) == expected, vector["name"]
