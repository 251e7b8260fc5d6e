"""The connections of this node, and the group of each."""

from __future__ import annotations

from hubbub.backends.valkey import schema
from hubbub.backends.valkey.local_members import LocalMember
from hubbub.messages import UserRow


def test_a_new_member_is_in_no_group() -> None:
    user = UserRow("ada", "c")
    member = LocalMember(user, 3)
    assert (member.user, member.user_shard, member.group, member.group_shard) == (user, 3, None, None)
    assert schema.parse_row(member.row) == user
    assert member.group_in(0) == member.group_in(3) == ""


def test_a_group_is_found_only_in_its_shard() -> None:
    member = LocalMember(UserRow("ada", "c"), 3)
    member.set_group("g", 1)
    assert (member.group_in(1), member.group_in(3)) == ("g", "")
    member.set_group("h", 3)
    assert (member.group_in(1), member.group_in(3)) == ("", "h")


def test_after_leaving_no_shard_has_a_group() -> None:
    member = LocalMember(UserRow("ada", "c"), 3)
    member.set_group("g", 0)
    member.clear_group()
    assert (member.group, member.group_shard, member.group_in(0)) == (None, None, "")
