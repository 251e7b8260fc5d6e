"""Sealed cursors: open for whom they were made, in the order they were made for, and for nothing else."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.errors import CommandError, ErrorCode
from hubbub.groups.cursors import FIELD, MAX_SEALED, Cursors

SECRET = b"0123456789abcdef0123456789abcdef"
CURSOR = {"number_of_users": 123456, "group": "hidden/name"}


def cursors(secret: bytes | None = SECRET) -> Cursors:
    made = Cursors()
    made.use(secret)
    return made


@given(st.text(max_size=256), st.text("ab😀", min_size=1), st.sampled_from(["group", "number_of_users"]))
@settings(deadline=None)
def test_every_node_opens_what_one_has_sealed(group: str, reader: str, order: str) -> None:
    sealed = cursors().seal({"group": group}, reader, order)
    assert len(sealed[FIELD]) <= MAX_SEALED
    assert cursors().open(sealed, reader, order) == {"group": group}


def test_nothing_of_it_shows() -> None:
    sealed = [cursors().seal({"number_of_users": 1, "group": "x" * size}, "ada", "group")[FIELD] for size in (1, 60)]
    assert len(sealed[0]) == len(sealed[1])
    assert b"xxx" not in urlsafe_b64decode(sealed[1] + "==")


def _changed(sealed: str) -> list[Any]:
    flipped = [sealed[:at] + ("B" if sealed[at] == "A" else "A") + sealed[at + 1 :] for at in range(0, 150, 7)]
    return [*flipped, sealed[:-1], sealed[4:], sealed + "AAAA", "", "A", "é", "A" * (MAX_SEALED + 1), 1, None, {}, []]


def test_what_was_changed_is_refused() -> None:
    for wrong in _changed(cursors().seal(CURSOR, "ada", "group")[FIELD]):
        with pytest.raises(CommandError, match='"startKey"') as refused:
            cursors().open({FIELD: wrong}, "ada", "group")
        assert refused.value.code is ErrorCode.INVALID_PARAMETER


def test_what_is_foreign_is_refused() -> None:
    sealed = cursors().seal(CURSOR, "ada", "group")
    for other, reader, order in (
        (cursors(), "bob", "group"),
        (cursors(), "ada", "number_of_users"),
        (cursors(b"x" * 32), "ada", "group"),
        (cursors(None), "ada", "group"),
    ):
        with pytest.raises(CommandError, match='"startKey"'):
            other.open(sealed, reader, order)
    for wrong in ({"group": "a"}, {**sealed, "group": "a"}, {}):
        with pytest.raises(CommandError, match='"startKey"'):
            cursors().open(wrong, "ada", "group")
