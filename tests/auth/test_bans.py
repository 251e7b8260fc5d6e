"""Bans and tickets in memory: how long, how many, and what happens to those that have no room."""

from __future__ import annotations

import pytest

from hubbub.auth import bans as module
from hubbub.auth.bans import TICKET_LIFE, Bans, TicketUse
from hubbub.errors import CommandError, ErrorCode


def ticket(name: str) -> TicketUse:
    return TicketUse(name, 60.0)


def test_how_long_a_user_is_kept_out() -> None:
    bans = Bans()
    bans.put("eve", 600, 0.0)
    bans.require_free("ada", 0.0)
    with pytest.raises(CommandError, match=r"is banned: connect again in 1 s") as refused:
        bans.require_free("eve", 599.5)
    assert refused.value.code is ErrorCode.FORBIDDEN
    bans.require_free("eve", 600.0)
    bans.put("eve", 600, 0.0)
    bans.put("eve", 10, 0.0)
    bans.require_free("eve", 10.0)
    bans.put("eve", 600, 0.0)
    bans.put("eve", 0, 0.0)
    bans.require_free("eve", 0.0)


def test_the_number_of_bans_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BANS", 3)
    bans = Bans()
    for number in range(3):
        bans.put(f"u{number}", 100 + number, 0.0)
    bans.put("u0", 50, 0.0)
    with pytest.raises(CommandError, match="INVALID_REQUEST"):
        bans.put("eve", 1, 0.0)
    bans.put("eve", 1, 50.0)
    bans.sweep(1000.0)
    assert not bans._until


def test_tickets_are_used_once_and_dead_after_a_kick() -> None:
    bans = Bans()
    bans.spend(ticket("a"), "eve", 0.0)
    with pytest.raises(CommandError, match="UNAUTHORIZED"):
        bans.spend(ticket("a"), "eve", 1.0)
    bans.withdraw("eve", 1.0)
    with pytest.raises(CommandError, match="UNAUTHORIZED"):
        bans.spend(ticket("b"), "eve", TICKET_LIFE)
    bans.spend(ticket("c"), "ada", 2.0)
    bans.spend(ticket("b"), "eve", 1.0 + TICKET_LIFE)
    bans.sweep(3 * TICKET_LIFE)
    assert (len(bans._spent), len(bans._withdrawn)) == (0, 0)


def test_what_has_no_room_is_refused_rather_than_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BANS", 2)
    monkeypatch.setattr(module, "MAX_SPENT", 2)
    bans = Bans()
    for number in range(3):
        bans.withdraw(f"u{number}", float(number))
    for user in ("u0", "anybody"):
        with pytest.raises(CommandError):
            bans.spend(ticket("a"), user, 5.0)
    bans.spend(ticket("a"), "anybody", TICKET_LIFE)  # u0's have ended by now
    with pytest.raises(CommandError):
        bans.spend(ticket("b"), "u2", TICKET_LIFE)
    bans.spend(ticket("c"), "anybody", TICKET_LIFE)
    with pytest.raises(CommandError):
        bans.spend(ticket("d"), "anybody", TICKET_LIFE)
    assert len(bans._spent) == 2
