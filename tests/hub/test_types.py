"""The text of a refusal is bounded, and can be sent whatever is in it."""

from __future__ import annotations

from hubbub.hub.types import MAX_DENY, Deny


def test_the_text_of_a_refusal() -> None:
    assert Deny("Not your team.").text == "Not your team."
    assert len(Deny("x" * 5000).text) == MAX_DENY
    assert Deny("half \ud83d").text == "half ?"
    assert Deny().text
