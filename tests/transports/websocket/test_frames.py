"""The fast lane against the reference implementation: what it cuts out, the library must read the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from hubbub.transports.websocket.frames import BATCH_BYTES, BATCH_FRAMES, cut, text_frame

SIZES = st.sampled_from([0, 1, 5, 124, 125, 126, 127, 200, 2047, 2048, 65_535])


def masked(payload: bytes, opcode: Opcode = Opcode.TEXT, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


FRAMES = st.one_of(
    st.builds(lambda size, byte: masked(bytes([byte]) * size), SIZES, st.integers(0, 255)),
    st.builds(lambda payload: masked(payload, Opcode.PONG), st.binary(max_size=125)),
)
OTHERS = st.one_of(
    st.builds(lambda payload: masked(payload, Opcode.PING), st.binary(max_size=5)),
    st.builds(lambda payload: masked(payload, Opcode.TEXT, False), st.binary(max_size=5)),
    st.just(masked(b"x" * 65_536)),
    st.just(masked(b"\x03\xe8", Opcode.CLOSE)),
    st.just(masked(b"x", Opcode.BINARY)),
    st.just(b"\x81\x01x"),  # not masked
    st.just(b"\xc1\x81\0\0\0\0x"),  # reserved bit
    st.just(b"\x81\xfe\0\x05\0\0\0\0xxxxx"),  # not the shortest length
    st.just(b"\x8a\xfe\0\x80" + bytes(4 + 128)),  # pong too long
)


def texts(data: bytes) -> list[bytes]:
    """Return the text payloads that the reference implementation reads."""
    protocol = ServerProtocol(state=State.OPEN, max_size=None)
    protocol.receive_data(data)
    return [bytes(e.data) for e in protocol.events_received() if isinstance(e, Frame) and e.opcode is Opcode.TEXT]


def feed(chunks: list[bytes]) -> tuple[list[bytes], bytes | None]:
    """Do what the transport does; return the payloads, and what went to the full implementation, if anything did."""
    payloads: list[bytes] = []
    buffer, need = b"", 0
    for index, chunk in enumerate(chunks):
        buffer += chunk
        if len(buffer) < need:
            continue
        taken = -1
        position = 0
        while taken != position:  # as long as there is something to cut out, batch by batch
            position = max(taken, 0)
            cut_out, taken, need = cut(buffer, position)
            assert len(cut_out) <= BATCH_FRAMES
            assert sum(map(len, cut_out[:-1])) <= BATCH_BYTES
            payloads += cut_out
        buffer = buffer[taken:]
        if need == 0:
            return payloads, buffer + b"".join(chunks[index + 1 :])
        assert need > len(buffer)
    return payloads, None


@st.composite
def chunked(draw: st.DrawFn, frames: st.SearchStrategy[list[bytes]]) -> tuple[bytes, list[bytes]]:
    data = b"".join(draw(frames))
    cuts = sorted(draw(st.lists(st.integers(0, min(len(data), 300)), max_size=4)))
    return data, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(chunked(st.lists(FRAMES, max_size=5)))
def test_whole_text_frames_are_cut_out(case: tuple[bytes, list[bytes]]) -> None:
    data, chunks = case
    payloads, rest = feed(chunks)
    assert rest is None
    assert payloads == texts(data)


@given(chunked(st.lists(FRAMES | OTHERS, max_size=5)))
def test_the_rest_goes_on_whole(case: tuple[bytes, list[bytes]]) -> None:
    data, chunks = case
    payloads, rest = feed(chunks)
    if rest is not None:
        assert data.endswith(rest)
        assert payloads == texts(data[: len(data) - len(rest)])
    else:
        assert payloads == texts(data)


@pytest.mark.parametrize(
    "frame",
    [masked(b"x"), masked(b"x" * 125), masked(b"x" * 2000), masked(b"", Opcode.PONG)],
    ids=["shortest", "short", "long", "pong"],  # the masks are random
)
def test_many_frames_are_cut_out_in_batches(frame: bytes) -> None:
    data, position, payloads = frame * 3000, 0, 0
    while position < len(data):
        cut_out, taken, _ = cut(data, position)
        assert 0 < taken - position <= BATCH_BYTES + len(frame)
        position, payloads = taken, payloads + len(cut_out)
    assert payloads == 3000 * (frame[0] == 0x81)


@pytest.mark.parametrize("opener", [b"\x89", b"\x01", b"\x82", b"\xc1", b"\x88", b"\x00"])
def test_others_are_seen_from_the_first_byte(opener: bytes) -> None:
    assert cut(opener) == ([], 0, 0)


@pytest.mark.parametrize(
    "frame", [b"\x81\xfe\0\x05\0\0\0\0xxxxx", b"\x8a\xfe\0\x80" + bytes(132), b"\x81\xff" + bytes(12)]
)
def test_odd_lengths_are_not_for_the_fast_lane(frame: bytes) -> None:
    assert cut(frame) == ([], 0, 0)


def test_an_unmasked_frame_is_seen_from_the_second() -> None:
    assert cut(b"\x81") == ([], 0, 6)
    assert cut(b"\x81\x05") == ([], 0, 0)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 2047, 2048, 65_535, 65_536, 70_000])
def test_text_frames_are_what_the_library_writes(size: int) -> None:
    assert text_frame(b"x" * size) == Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)
