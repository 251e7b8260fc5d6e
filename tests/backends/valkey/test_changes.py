"""Which views count as changed after the store has named a key."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub.backends.valkey import changes
from hubbub.backends.valkey.changes import Changes
from hubbub.groups.view_query import ViewQuery, parse_watch
from hubbub.messages import Watch


def query(what: Any = "groups", **fields: Any) -> ViewQuery:
    return parse_watch(Watch(what, **fields), 1000, 256, lambda cursor, order: cursor)


LISTED, NAMED, USERS, OTHERS = query(), query(groups=["g"]), query("users", group="g"), query("users", group="h")
ALL = {"listed": LISTED, "named": NAMED, "users": USERS, "others": OTHERS}


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        (b"hubbub:{0.0}:names", {"listed", "named"}),
        (b"hubbub:{0.0}:sizes", {"listed", "named"}),
        (b"hubbub:{0.0}:g:g", {"listed", "named"}),
        (b"hubbub:{0.0}:m:g", {"users"}),
        (b"hubbub:{0.0}:m:x}:names", set()),
        (b"hubbub:{0.0}:?", set(ALL)),
        (b"\xff", set(ALL)),
        (b"", set(ALL)),
    ],
)
def test_a_key_concerns_some_views(key: bytes, changed: set[str]) -> None:
    state = Changes()
    before = {name: state.of(each) for name, each in ALL.items()}
    revision = state.revision
    state.invalidate(key)
    assert {name for name, each in ALL.items() if state.of(each) != before[name]} == changed
    assert state.revision > revision


def test_after_a_restart_everything_has_changed() -> None:
    state = Changes()
    state.invalidate(b"hubbub:{0.0}:m:g")
    before = [state.of(each) for each in ALL.values()]
    state.restart()
    assert all(state.of(each) != old for each, old in zip(ALL.values(), before, strict=True))
    assert state.restarts == 1


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_GROUPS", 3)
    state = Changes()
    for number in range(10):
        before = state.of(USERS)
        state.invalidate(b"hubbub:{0.0}:m:%d" % number)
        assert len(state._members) <= 3
    assert state.of(USERS) != 0
    assert before is not None


def test_a_store_that_says_nothing_counts_as_always_changed() -> None:
    state = Changes()
    state.blind = True
    assert state.of(USERS) != state.of(USERS)
    assert state.revision != state.revision
