"""The roster against a plain set of rows, sorted and filtered anew for every question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.errors import CommandError
from hubbub.groups.roster import Roster, UserQuery, parse_user_query
from hubbub.messages import UserRow, Users

ROWS = st.builds(UserRow, st.text("ab\0\uffff", min_size=1, max_size=2), st.text("xyz", min_size=1, max_size=2))


@given(st.lists(ROWS, max_size=30))
def test_counts(changes: list[UserRow]) -> None:
    roster, model = Roster(), set[UserRow]()
    for row in changes:
        if row in model:
            model.remove(row)
            left = roster.remove(row)
        else:
            model.add(row)
            left = roster.add(row)
        assert left == roster.connections_of(row.user_id) == sum(other.user_id == row.user_id for other in model)
        assert roster.rows == sorted(model, key=lambda row: (row.user_id, row.connection_id))
        assert roster.number_of_users == len({row.user_id for row in model})


@given(st.sets(ROWS, max_size=20), st.none() | st.text("ab\0", max_size=2), st.integers(1, 5), st.booleans())
def test_pages_together_are_the_whole_list(
    rows: set[UserRow], user_id: str | None, limit: int, ascending: bool
) -> None:
    roster = Roster()
    for row in rows:
        roster.add(row)
    expected = sorted((row.user_id, row.connection_id) for row in rows if user_id in (None, row.user_id))
    seen: list[tuple[str, str]] = []
    command = Users(group="g", user_id=user_id, limit=limit, ascending=ascending)
    while True:
        page = roster.page(parse_user_query(command, 1000))
        seen += [(row.user_id, row.connection_id) for row in page.list if isinstance(row, UserRow)]
        assert page.end_of_list == (page.start_key == "end") == (len(seen) == len(expected))
        if page.end_of_list:
            break
        assert len(page.list) == limit
        command.start_key = page.start_key
    assert seen == (expected if ascending else expected[::-1])


@given(st.sets(ROWS, min_size=1, max_size=20), st.integers(1, 5), st.booleans(), st.data())
def test_pages_are_stable(rows: set[UserRow], limit: int, ascending: bool, data: st.DataObject) -> None:
    """Rows come and go between the pages; those that stay are seen once, in order."""
    stay = data.draw(st.sets(st.sampled_from(sorted(rows))))
    roster, present = Roster(), set(rows)
    for row in rows:
        roster.add(row)
    command = Users(group="g", limit=limit, ascending=ascending)
    seen: list[UserRow] = []
    while command.start_key != "end":
        page = roster.page(parse_user_query(command, 1000))
        seen += [row for row in page.list if isinstance(row, UserRow)]
        command.start_key = page.start_key
        for row in data.draw(st.lists(ROWS, max_size=3)):
            if row not in stay and row in present:
                present.remove(row)
                roster.remove(row)
            elif row not in present:
                present.add(row)
                roster.add(row)
    assert [row for row in seen if row in stay] == sorted(stay, reverse=not ascending)
    assert len(seen) == len(set(seen))


def test_defaults() -> None:
    assert parse_user_query(Users(), 1000) == UserQuery(None, 50, True, None)


def test_the_end_is_empty() -> None:
    roster = Roster()
    roster.add(UserRow("a", "x"))
    page = roster.page(parse_user_query(Users(start_key="end"), 1000))
    assert (page.list, page.start_key, page.end_of_list) == ([], "end", True)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (Users(limit=0), '"limit" must be 1 to 1000, not 0.'),
        (Users(limit=1001), '"limit" must be 1 to 1000, not 1001.'),
        (Users(limit=-1), '"limit" must be 1 to 1000, not -1.'),
        (Users(start_key="middle"), '"startKey" must be the object that a page of users ended with, "start" or "end".'),
        (Users(start_key={"group": "a"}), '"startKey" must be the object that a page of users ended with.'),
        (Users(start_key={"user_id": 1, "connection_id": "x"}), '"startKey" must be the object that a page'),
        (Users(start_key={}), '"startKey" must be the object that a page of users ended with.'),
    ],
)
def test_refused_queries(command: Users, text: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_user_query(command, 1000)
    assert caught.value.code == "INVALID_PARAMETER"
    assert caught.value.message.startswith(text)
