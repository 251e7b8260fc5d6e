"""Which posts were done, held against a dict that forgets nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.groups.idempotency import PostResults

AGE = 10.0
MOST = 100
SWEEP = 1.0

scopes = st.tuples(st.sampled_from("ab"), st.sampled_from(["group:g", "user:g"]), st.sampled_from("xyz"))


@given(st.lists(st.tuples(scopes, st.integers(0, 8), st.integers(0, 3)), max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_key_is_remembered_for_its_age_and_not_much_longer(
    posts: list[tuple[tuple[str, str, str], int, int]],
) -> None:
    keys, now = PostResults(AGE, MOST), 0.0
    done: dict[tuple[str, str, str], tuple[float, int]] = {}
    for scope, result, wait in posts:
        for _ in range(wait * 4):
            now += SWEEP
            keys.sweep(now)
        known = keys.get(scope)
        if scope in done:
            when, first = done[scope]
            if now - when < AGE:
                assert known == first
            elif now - when > 2 * AGE + 2 * SWEEP:
                assert known is None
            else:
                assert known in (None, first)
        else:
            assert known is None
        if known is None:
            keys.put(scope, result)
            done[scope] = (now, result)


def test_as_many_as_fit_are_known_and_the_oldest_go() -> None:
    keys = PostResults(AGE, MOST)
    for number in range(1000):
        keys.put(("ada", "group:g", str(number)), number)
        for recent in range(max(0, number - MOST + 1), number + 1):
            assert keys.get(("ada", "group:g", str(recent))) == recent
        assert len(keys._young) + len(keys._old) <= 2 * MOST
    assert keys.get(("ada", "group:g", "0")) is None


def test_a_result_of_zero_recipients_is_remembered() -> None:
    keys = PostResults(AGE, MOST)
    keys.put(("ada", "group:g", "k"), 0)
    assert keys.get(("ada", "group:g", "k")) == 0
