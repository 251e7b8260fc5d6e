"""What ``on_connect`` returns, as an identity: a `User`, checked like the claims of a token. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from unicodedata import category
from uuid import UUID

from hubbub.auth.claims import unauthorized, wrong_patterns
from hubbub.auth.identity import Identity
from hubbub.hub.types import User
from hubbub.settings import Settings


def text_id(field: str, value: object) -> str:
    """Return an id of the program as text: an ``int``, as database keys are, or a ``UUID`` becomes its digits.

    Raises:
        TypeError: It is something else, say None.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | UUID) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"{field} must be text, an int or a UUID, not {type(value).__name__}")


def identity_of(user: object, settings: Settings, unix_time: float) -> Identity:
    """Return the identity that a `User` gives.

    Raises:
        TypeError: It is no `User`, or a field of it has the wrong type or is outside its limits: an error of the app.
        CommandError: ``UNAUTHORIZED``, the time in ``expires`` is over.
    """
    if not isinstance(user, User):
        raise TypeError(
            f"it returned {type(user).__name__}: return a hubbub.User, or None if you do not know the client"
        )
    expires = _expires(user.expires)
    if expires is not None and expires <= unix_time:
        raise unauthorized("Your login has expired: log in again.")
    return Identity(
        user_id=_user_id(user.user_id, settings.max_user_id),
        groups=_patterns("groups", user.groups),
        expires=expires,
        name=_name(user.name, settings.max_user_id),
        private=bool(user.private),
        post=_patterns("post", user.post),
        invisible=bool(user.invisible),
    )


def _user_id(value: object, most: int) -> str:
    user_id = text_id("User.user_id", value)
    if not 1 <= len(user_id) <= most:
        raise TypeError(f"User.user_id must have 1 to {most} characters (max_user_id), not {len(user_id)}")
    if any(category(character) in {"Cc", "Cs"} for character in user_id):
        raise TypeError("User.user_id must not contain control characters or halves of surrogate pairs")
    return user_id


def _name(value: object, most: int) -> str | None:
    """Return the name as the claim ``name`` is taken: it gives no rights, so it is cut, not refused."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"User.name must be text or None, not {type(value).__name__}")
    return value.encode("utf-8", "replace").decode()[:most] if value else None


def _patterns(field: str, patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    if patterns is None:
        return None
    if isinstance(patterns, str) or not all(isinstance(each, str) for each in patterns):
        raise TypeError(f'User.{field} must be a list of texts such as ["team-*"], not {patterns!r:.80}')
    found = tuple(patterns)
    if problem := wrong_patterns(found):
        raise TypeError(f"User.{field} {problem}")
    return found


def _expires(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("User.expires must have a time zone: use datetime.now(UTC)")
        return value.timestamp()
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise TypeError(f"User.expires must be Unix time in seconds, a datetime or None, not {value!r:.80}")
