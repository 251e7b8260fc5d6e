"""One view: which events it has for its watchers."""

from __future__ import annotations

import json

import pytest

from hubbub.groups.view_query import NamedGroups, ViewPage, parse_watch
from hubbub.messages import Event, GroupRow, UserRow, Watch
from hubbub.watching.difference import Difference
from hubbub.watching.view import View, ViewKey


class Wire:
    """Encodes as JSON lines, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def event(self, event: Event) -> bytes:
        import msgspec

        self.calls += 1
        return msgspec.json.encode(event)


@pytest.fixture
def view() -> View:
    return View(ViewKey(NamedGroups(("a",)), 0.25, None), 100, 0.0)


def test_a_frame_is_encoded_once_for_a_wire_and_a_number(view: View) -> None:
    wire = Wire()
    view.show(ViewPage([GroupRow("a", 1, 2)], 1), None)
    one, same, other = (view.whole().encode(wire, number) for number in (1, 1, 2))
    assert one is same
    assert wire.calls == 2
    row = {"group": "a", "number_of_users": 1, "number_of_connections": 2}
    assert json.loads(one) == {"type": "groups", "watch": 1, "list": [row], "count": 1}
    assert json.loads(other)["watch"] == 2


def test_a_change_has_rows_and_names(view: View) -> None:
    view.show(ViewPage([GroupRow("a", 1, 2)], None), Difference([GroupRow("a", 1, 2)], ["b"]))
    assert view.change is not None
    found = json.loads(view.change.encode(Wire(), 1))
    assert (found["set"], found["gone"], found["count"]) == (
        [{"group": "a", "number_of_users": 1, "number_of_connections": 2}],
        ["b"],
        None,
    )
    assert "list" not in found


def test_the_whole_page_is_that_of_the_present_version() -> None:
    query = parse_watch(Watch("users", group="g"), 100, 20, lambda cursor, order: cursor)
    view = View(ViewKey(query, 0.25, None), 100, 0.0)
    view.show(ViewPage([UserRow("ada", "1")], 1), None)
    assert json.loads(view.whole().encode(Wire(), 1))["list"] == [{"user_id": "ada", "connection_id": "1"}]
    view.show(ViewPage([], 0), None)
    assert json.loads(view.whole().encode(Wire(), 1)) == {"type": "users", "watch": 1, "list": [], "count": 0}
    assert view.version == 2


def test_rights_say_which_groups_are_visible() -> None:
    view = View(ViewKey(NamedGroups(("a",)), 0.25, ("team-*",)), 100, 0.0)
    assert view.visible is not None
    assert view.visible("team-1")
    assert not view.visible("x")
