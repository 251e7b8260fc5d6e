"""Absences, compared with a plain list of the members that were sent off."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.groups.absences import Absences
from hubbub.messages import UserRow

LASTS = 5

groups = st.sampled_from("gh")
rows = st.builds(UserRow, st.sampled_from(["ada", "bob"]), st.sampled_from("123"))
steps = st.one_of(
    st.tuples(st.just("begin"), groups, rows),
    st.tuples(st.just("end"), groups, rows),
    st.tuples(st.just("cancel"), groups, rows),
    st.tuples(st.just("wait"), groups, rows),
)


@given(st.lists(steps, max_size=60))
@settings(max_examples=300, deadline=None)
def test_each_absence_ends_once(steps: list[tuple[str, str, UserRow]]) -> None:
    absences, expected, now = Absences(), list[tuple[int, str, UserRow]](), 0
    for what, group, row in steps:
        if what == "begin":
            absences.begin(group, row, now + LASTS)
            expected = [each for each in expected if each[1:] != (group, row)] + [(now + LASTS, group, row)]
        elif what == "cancel":
            absences.cancel(group, row)
            expected = [each for each in expected if each[1:] != (group, row)]
        elif what == "end":
            of_user = [each for each in expected if each[1] == group and each[2].user_id == row.user_id]
            assert absences.end(group, row.user_id) == bool(of_user)
            if of_user:
                expected.remove(of_user[0])
        else:
            now += 2
            due = [(each[1], each[2]) for each in expected if each[0] <= now]
            assert list(absences.expire(now)) == due
            expected = [each for each in expected if each[0] > now]
        assert len(absences) == len(expected)
        assert {(group, row.user_id) for _, group, row in expected} == set(absences.users())
        for group in "gh":
            assert absences.expects_anyone(group) == any(each[1] == group for each in expected)
            assert absences.expects(group, "ada") == any(
                each[1] == group and each[2].user_id == "ada" for each in expected
            )
