"""Accounts of kept bytes: what is charged, when a user has reached the limit, when accounts start again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.groups import kept_bytes
from hubbub.groups.kept_bytes import KeptBytes, refusal


@given(
    charges=st.lists(st.tuples(st.sampled_from("ab"), st.integers(-50, 50)), max_size=30),
    most=st.integers(0, 100),
)
def test_a_user_is_exhausted_exactly_at_the_limit(charges: list[tuple[str, int]], most: int) -> None:
    accounts = KeptBytes(most, 600)
    charged = {"a": 0, "b": 0}
    for user, size in charges:
        accounts.charge(user, size)
        charged[user] = max(0, charged[user] + size)  # an account is never below zero
        assert accounts.exhausted == {name for name, each in charged.items() if each >= most > 0}


def test_without_a_limit_nobody_is_exhausted() -> None:
    accounts = KeptBytes(0, 600)
    accounts.charge("ada", 10**12)
    assert accounts.exhausted == set()


def test_what_is_dropped_makes_room() -> None:
    accounts = KeptBytes(100, 600)
    accounts.charge("ada", 100)
    assert accounts.exhausted == {"ada"}
    accounts.charge("ada", -1)
    assert accounts.exhausted == set()


def test_accounts_start_again_after_the_period() -> None:
    accounts = KeptBytes(100, 600)
    accounts.charge("ada", 100)
    accounts.sweep(599.9)
    assert accounts.exhausted == {"ada"}
    accounts.sweep(600)
    assert accounts.exhausted == set()
    accounts.charge("ada", 99)
    assert accounts.exhausted == set()
    accounts.charge("ada", 1)
    accounts.sweep(1199.9)
    assert accounts.exhausted == {"ada"}


def test_the_number_of_accounts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_bytes, "MOST_ACCOUNTS", 3)
    accounts = KeptBytes(10, 600)
    for user in "abc":
        accounts.charge(user, 10)
    accounts.charge("a", 1)  # has an account already
    assert accounts.exhausted == {"a", "b", "c"}
    accounts.charge("d", 10)
    assert accounts.exhausted == {"d"}


def test_an_empty_account_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_bytes, "MOST_ACCOUNTS", 2)
    accounts = KeptBytes(10, 600)
    accounts.charge("a", 10)
    accounts.charge("b", 5)
    accounts.charge("b", -5)
    accounts.charge("c", 10)
    assert accounts.exhausted == {"a", "c"}


def test_the_refusal_names_the_limit_the_setting_and_the_wait() -> None:
    accounts = KeptBytes(1000, 600)
    error = accounts.refusal(550)
    assert error.code == "RATE_LIMITED"
    assert "1000 bytes" in error.message
    assert '"history_user"' in error.message
    assert "50 s" in error.message
    assert "up to 1 s" in refusal(1000, 0.2).message
