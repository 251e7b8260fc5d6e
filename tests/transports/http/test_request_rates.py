"""How many HTTP requests each user may make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.identity import Identity
from hubbub.transports.http import request_rates
from hubbub.transports.http.request_rates import RequestRates
from hubbub.transports.refusal import HttpError

ADA, BOB = Identity(user_id="ada"), Identity(user_id="bob")


def allowed(rates: RequestRates, identity: Identity, now: float) -> bool:
    try:
        rates.spend(identity, now)
    except HttpError as error:
        assert (error.status, error.code) == (429, "RATE_LIMITED")
        return False
    return True


def test_each_user_has_a_burst_and_then_the_rate() -> None:
    rates = RequestRates(10, 5)
    assert [allowed(rates, ADA, 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert allowed(rates, BOB, 100.0)
    assert [allowed(rates, ADA, 100.2) for _ in range(3)] == [True, True, False]


def test_the_wait_that_is_named_is_enough() -> None:
    rates = RequestRates(0.25, 1)
    rates.spend(ADA, 0.0)
    with pytest.raises(HttpError, match="Try again in 5 s") as caught:
        rates.spend(ADA, 0.0)
    assert caught.value.headers == {"Retry-After": "5"}
    assert allowed(rates, ADA, 5.0)


def test_who_is_not_limited() -> None:
    rates = RequestRates(1, 1)
    assert all(allowed(rates, Identity(user_id="ada", server=True), 0.0) for _ in range(100))
    assert all(allowed(RequestRates(0, 1), ADA, 0.0) for _ in range(100))


def test_few_users_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_rates, "MOST_USERS", 10)
    rates = RequestRates(1, 1)
    for number in range(100):
        rates.spend(Identity(user_id=str(number)), 0.0)
    assert len(rates) == 10
    assert not allowed(rates, Identity(user_id="99"), 0.0)


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 1), min_size=1, max_size=200),
)
def test_never_more_than_burst_and_rate_together(rate: float, burst: int, pauses: list[float]) -> None:
    rates, now, count = RequestRates(rate, burst), 0.0, 0
    for pause in pauses:
        now += pause
        count += allowed(rates, ADA, now)
    assert count <= burst + rate * now + 1e-6
    assert count >= min(burst, len(pauses))
