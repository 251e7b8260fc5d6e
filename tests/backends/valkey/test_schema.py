"""Names as keys and members: reversible, in the right order, and where a cluster puts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.backends.valkey import schema
from hubbub.messages import UserRow

NAMES = st.text(max_size=6) | st.text("\0\1\xffa", max_size=6) | st.text(st.characters(codec=None), max_size=6)
ROWS = st.builds(UserRow, NAMES, st.text("abc", min_size=1, max_size=4))


@given(NAMES)
def test_text_is_decoded_as_it_was(text: str) -> None:
    assert schema.decode(schema.encode(text)) == text


@given(NAMES, NAMES)
def test_bytes_are_ordered_like_the_text(one: str, other: str) -> None:
    assert (schema.encode(one) < schema.encode(other)) == (one < other)


@given(ROWS)
def test_a_row_is_parsed_as_it_was(row: UserRow) -> None:
    assert schema.parse_row(schema.row(row)) == row


@given(ROWS, ROWS)
def test_rows_are_ordered_by_user_then_by_connection(one: UserRow, other: UserRow) -> None:
    in_order = (one.user_id, one.connection_id) < (other.user_id, other.connection_id)
    assert (schema.row(one) < schema.row(other)) == in_order


@given(ROWS, NAMES)
def test_the_rows_of_a_user_are_an_interval(row: UserRow, user_id: str) -> None:
    inside = schema.user_part(user_id) <= schema.row(row) < schema.past_user(user_id)
    assert inside == (row.user_id == user_id)


SIZES = st.tuples(st.integers(0, 10**10 - 1), NAMES)


@given(SIZES, SIZES)
def test_sizes_are_ordered_by_number_then_by_name(one: tuple[int, str], other: tuple[int, str]) -> None:
    assert (schema.size_key(*one) < schema.size_key(*other)) == (one < other)


def test_sizes_that_no_group_can_have_are_at_the_ends() -> None:
    assert schema.size_key(-1, "g") == b"" < schema.size_key(0, "")
    assert schema.size_key(10**10 - 1, "\U0010ffff") < schema.size_key(10**10, "")


def test_one_shard_and_the_databases_have_different_prefixes() -> None:
    assert schema.shard_prefix(0) == "hubbub:{0.0}:"
    assert schema.shard_prefix(5) == "hubbub:{5.0}:"


@pytest.mark.parametrize("shards", [2, 3, 16])
def test_every_shard_has_its_own_part_of_the_slots(shards: int) -> None:
    prefixes = [schema.shard_prefix(0, number, shards) for number in range(shards)]
    assert len(set(prefixes)) == shards
    assert [schema.slot_of(prefix) * shards // schema.SLOTS for prefix in prefixes] == list(range(shards))


def test_slots_are_those_of_the_cluster_specification() -> None:
    assert schema.slot_of("{123456789}") == 0x31C3  # the example of the specification
    assert schema.slot_of("hubbub:{foo}:x") == 12182  # CLUSTER KEYSLOT foo


@given(NAMES)
def test_names_are_spread_over_shards(name: str) -> None:
    assert schema.shard_of(name, 1) == 0
    assert 0 <= schema.shard_of(name, 7) < 7
    assert {schema.shard_of(f"g{number}", 7) for number in range(100)} == set(range(7))


@given(NAMES)
def test_channels_are_parsed_as_they_were(name: str) -> None:
    prefix = schema.shard_prefix(0, 1, 2)
    assert schema.parse_channel(schema.group_channel(prefix, name)) == (b"c", schema.encode(name))
    assert schema.parse_channel(schema.node_channel(prefix, "n.1}:x")) == (b"o", b"n.1}:x")


@given(st.lists(st.tuples(NAMES, NAMES, NAMES), unique=True, min_size=2, max_size=5))
def test_posts_have_the_same_key_only_if_all_is_the_same(posts: list[tuple[str, str, str]]) -> None:
    keys = [schema.post_key(*post) for post in posts]
    assert keys == [schema.post_key(*post) for post in posts]
    assert {len(key) for key in keys} == {16}
    assert len(set(keys)) == len(posts)
