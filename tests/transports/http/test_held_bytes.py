"""Bytes that wait for the parser: they come out once and in order, and few requests at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.transports.http.held_bytes import (
    BODY_PIECE,
    END_OF_HEAD,
    FAIR_SHARE,
    SHORTEST_BODY_PIECE,
    SHORTEST_HEAD,
    HeldBytes,
    HttpMemory,
    MemoryShare,
)

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

received = st.lists(
    st.lists(st.sampled_from([HEAD, END_OF_HEAD, b"\r", b"\n", b"x", b"GET /", b"x" * 100]), max_size=8).map(b"".join),
    max_size=8,
)


@given(pieces=received, steps=st.lists(st.sampled_from(["add", "take a head", "take a body", "rest"]), max_size=40))
def test_every_byte_comes_out_once_and_in_order(pieces: list[bytes], steps: list[str]) -> None:
    held, waiting, taken = HeldBytes(), iter(pieces), b""
    added = b""
    for step in steps:
        if step == "add":
            piece = next(waiting, b"")
            added += piece
            held.add(piece)
        elif step == "rest":
            taken += held.rest()
        elif len(held):
            piece = held.take(body=step == "take a body")
            assert piece  # whoever takes until nothing is held comes to an end
            taken += piece
        assert len(held) == len(added) - len(taken)
    assert taken + held.rest() == added
    assert len(held) == 0


@given(pieces=received)
def test_outside_a_body_no_piece_holds_two_heads(pieces: list[bytes]) -> None:
    held = HeldBytes()
    for piece in pieces:
        held.add(piece)
        while len(held):
            taken = held.take(body=False)
            # An end of a head that no head can come before is skipped by the parser: an empty line.
            assert taken.find(END_OF_HEAD, SHORTEST_HEAD) in {-1, len(taken) - len(END_OF_HEAD)}


@given(count=st.integers(1, 50))
def test_pipelined_requests_come_out_one_by_one(count: int) -> None:
    held = HeldBytes()
    held.add(HEAD * count)
    assert [held.take(body=False) for _ in range(count)] == [HEAD] * count
    assert len(held) == 0


@given(body=st.binary(max_size=3 * BODY_PIECE) | st.integers(0, 20_000).map(lambda count: END_OF_HEAD * count))
def test_pieces_of_a_body_are_neither_large_nor_many(body: bytes) -> None:
    held = HeldBytes()
    held.add(body)
    pieces = []
    while len(held):
        pieces.append(held.take(body=True))
    assert b"".join(pieces) == body
    assert all(len(piece) <= BODY_PIECE for piece in pieces)
    assert all(len(piece) >= SHORTEST_BODY_PIECE for piece in pieces[:-1])


def test_cleared_bytes_are_gone() -> None:
    held = HeldBytes()
    held.add(HEAD * 2)
    held.take(body=False)
    held.clear()
    assert (len(held), held.rest()) == (0, b"")


@given(steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10_000)), max_size=30))
def test_memory_counts_what_all_connections_hold(steps: list[tuple[int, int]]) -> None:
    memory = HttpMemory(20_000)
    shares = [MemoryShare(memory) for _ in range(5)]
    held = [0] * 5
    for index, size in steps:
        shares[index].count(size)
        held[index] = size
        assert memory.bytes == sum(held)
        for share, own in zip(shares, held, strict=True):
            assert share.too_much == (sum(held) > 20_000 and own > FAIR_SHARE)
