from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from hubbub.server import Server
from hubbub.transports.websocket.strict import StrictProtocol
from support.clients import Peer

LOG = logging.getLogger("test")

small = st.binary(max_size=125)
controls = st.builds(Frame, st.sampled_from([Opcode.PING, Opcode.PONG]), small)
sizes = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])


@st.composite
def messages(draw: st.DrawFn) -> list[Frame]:
    """One text message in one or more fragments, perhaps with control frames between them."""
    parts = [b"x" * draw(sizes) for _ in range(draw(st.integers(1, 3)))]
    frames = []
    for number, part in enumerate(parts):
        if number:
            frames += draw(st.lists(controls, max_size=1))
        frames.append(Frame(Opcode.CONT if number else Opcode.TEXT, part, fin=number == len(parts) - 1))
    return frames


@given(st.lists(messages() | controls.map(lambda frame: [frame]), min_size=1, max_size=4), st.data())
def test_idle_exactly_between_messages(sent: list[list[Frame]], data: st.DataObject) -> None:
    pieces = [[frame.serialize(mask=True) for frame in message] for message in sent]
    stream = b"".join(b"".join(message) for message in pieces)
    between = {0}  # where a message, or a control frame outside of one, has just ended
    for message in pieces:
        between.add(max(between) + len(b"".join(message)))
    cuts = data.draw(st.sets(st.integers(0, len(stream)) | st.sampled_from(sorted(between)), max_size=8))
    protocol = StrictProtocol(1_000_000, LOG)
    position = 0
    for cut in sorted(cuts | {len(stream)}):
        protocol.receive_data(stream[position:cut])
        position = cut
        assert protocol.idle == (position in between)
    assert len(protocol.steps()) == sum(map(len, sent))


def test_not_idle_after_a_close() -> None:
    protocol = StrictProtocol(1000, LOG)
    protocol.receive_data(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    assert not protocol.idle


def test_a_longer_header_than_needed_is_never_taken_for_a_boundary() -> None:
    protocol = StrictProtocol(1000, LOG)
    protocol.receive_data(b"\x81\xfe\x00\x01\x00\x00\x00\x00x")
    assert not protocol.idle


async def test_after_a_ping_frames_take_the_fast_lane_again(
    server: Server, peers: Callable[..., Awaitable[Peer]]
) -> None:
    peer = await peers(server, guest="alice", group="g")
    await (await peer.socket.ping())
    await peer.do("post", to="g", message="hi")
    link = server.node.sessions[peer.welcome["connection_id"]].link
    assert link._library is None  # type: ignore[attr-defined]
