"""Streams are counted by user, and end with the user."""

from __future__ import annotations

from hubbub.watching.streams import Streams


def test_counts_and_ends() -> None:
    streams = Streams()
    ended: list[str] = []
    ends = [lambda name=name: ended.append(name) for name in "abc"]
    for user, end in zip(("ada", "ada", "bob"), ends, strict=True):
        streams.add(user, end)
    assert (len(streams), streams.of("ada"), streams.of("nobody")) == (3, 2, 0)
    streams.end("ada")
    streams.end("nobody")
    assert ended == ["a", "b"]
    streams.remove("ada", ends[0])
    streams.remove("bob", ends[2])
    assert (len(streams), streams.of("bob")) == (1, 0)
