"""What on_connect returns, as an identity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from hubbub.auth.identity import Identity
from hubbub.errors import CommandError
from hubbub.hub.identities import identity_of, text_id
from hubbub.hub.types import User
from hubbub.settings import Settings

NOW = 1000.0
SETTINGS = Settings()


def test_a_user_becomes_an_identity() -> None:
    user = User(7, name="Ada", groups=["team-*"], post=["team-1"], private=False, data=object(), expires=NOW + 5)
    assert identity_of(user, SETTINGS, NOW) == Identity(
        "7", groups=("team-*",), name="Ada", private=False, expires=NOW + 5, post=("team-1",)
    )
    assert identity_of(User("ada"), SETTINGS, NOW) == Identity("ada")
    assert identity_of(User("ada", invisible=True), SETTINGS, NOW) == Identity("ada", invisible=True)
    later = identity_of(User("ada", expires=datetime.fromtimestamp(NOW + 1, UTC)), SETTINGS, NOW)
    assert later.expires == NOW + 1


@pytest.mark.parametrize(
    ("user", "hint"),
    [
        ("ada", "hubbub.User"),
        (User(None), "User.user_id must be text"),  # type: ignore[arg-type]
        (User(""), "1 to 256"),
        (User("x" * 257), "max_user_id"),
        (User("a\n"), "control"),
        (User("a", groups="team-*"), "list of texts"),
        (User("a", post=[7]), "list of texts"),  # type: ignore[list-item]
        (User("a", groups=["x"] * 1001), "at most 1000"),
        (User("a", name=7), "User.name"),  # type: ignore[arg-type]
        (User("a", expires="soon"), "User.expires"),  # type: ignore[arg-type]
        (User("a", expires=datetime(2030, 1, 1)), "time zone"),
    ],
)
def test_a_user_with_a_wrong_field_is_an_error_of_the_app(user: Any, hint: str) -> None:
    with pytest.raises(TypeError, match=hint.replace("*", r"\*")):
        identity_of(user, SETTINGS, NOW)


def test_a_login_that_has_expired_is_refused() -> None:
    with pytest.raises(CommandError, match="log in again"):
        identity_of(User("a", expires=NOW), SETTINGS, NOW)


def test_ids_of_a_program() -> None:
    number = UUID(int=7)
    assert (text_id("x", 7), text_id("x", "7"), text_id("x", number)) == ("7", "7", str(number))
    with pytest.raises(TypeError, match="bool"):
        text_id("x", True)
