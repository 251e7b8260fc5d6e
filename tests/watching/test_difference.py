"""What has changed between two states of a page, against a mirror that applies it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hubbub.messages import GroupRow, UserRow
from hubbub.watching.difference import difference

GROUPS = st.dictionaries(st.sampled_from("abcde"), st.tuples(st.integers(1, 3), st.integers(1, 3))).map(
    lambda found: [GroupRow(name, *numbers) for name, numbers in sorted(found.items())]
)
USERS = st.lists(st.sampled_from([UserRow(user, f"{user}{n}") for user in "abc" for n in range(3)]), unique=True)


@given(GROUPS, GROUPS)
def test_a_mirror_of_groups_becomes_the_new_page(before: list[GroupRow], after: list[GroupRow]) -> None:
    changed, gone = difference(before, after)
    mirror = {row.group: row for row in before}
    for name in gone:
        del mirror[name]
    mirror.update((row.group, row) for row in changed if isinstance(row, GroupRow))
    assert sorted(mirror.values(), key=lambda row: row.group) == after
    assert not set(changed) & set(before)


@given(USERS, USERS)
def test_users_go_by_their_connection(before: list[UserRow], after: list[UserRow]) -> None:
    changed, gone = difference(before, after)
    assert changed == [row for row in after if row not in before]
    assert gone == [row.connection_id for row in before if row not in after]


def test_the_same_page_has_no_difference() -> None:
    assert difference([], []) == ([], [])
    assert difference([GroupRow("a", 1, 1)], [GroupRow("a", 1, 1)]) == ([], [])
