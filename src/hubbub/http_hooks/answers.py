"""What an app answers, checked: exactly one of the answers that fit the question, and nothing unknown. Pure.

===========================  ===================================================
answer                       to
===========================  ===================================================
``{"user": {…}}``            connect: this is the client
``{"user": null}``           connect: not by me, so the client needs a token
``{"allow": true}``          join, post, private: go on
``{"message": …}``           post, private: send this instead
``{"swallow": true}``        post, private: send nothing, and tell nobody
``{"deny": "text"}``         all: refuse, with this text for the client
``{"allow": false}``         all: refuse
===========================  ===================================================
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from hubbub.hub.types import Deny, User

MAX_DATA = 4096
"""Most bytes of ``user.data``, as JSON: it is kept for each connection, and sent with each question about it."""


class BadAnswerError(Exception):
    """The app has answered, and the answer is none. The text is for the log."""


class UserAnswer(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of `hubbub.User`."""

    user_id: str | int
    name: str | None = None
    groups: list[str] | None = None
    post: list[str] | None = None
    private: bool = True
    data: msgspec.Raw = msgspec.Raw(b"null")
    expires: float | datetime | None = None
    invisible: bool = False


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    allow: bool | UnsetType = UNSET
    deny: str | UnsetType = UNSET
    message: msgspec.Raw | UnsetType = UNSET
    swallow: bool | UnsetType = UNSET
    user: UserAnswer | UnsetType | None = UNSET


_decode = msgspec.json.Decoder(_Answer).decode


def connect(body: bytes) -> User | None:
    """Return who a client is; None: the app does not know. ``User.data`` is JSON as `msgspec.Raw`, or None.

    Raises:
        Deny: The app refuses the client.
        BadAnswerError: The answer is not one to ``connect``.
    """
    found = _read(body, ("user", "deny")).user
    if found is None or isinstance(found, UnsetType):
        return None
    if len(found.data) > MAX_DATA:
        raise BadAnswerError(f'"user.data" has {len(found.data)} bytes; at most {MAX_DATA} are allowed')
    data = None if bytes(found.data) == b"null" else found.data.copy()
    return User(
        found.user_id,
        name=found.name,
        groups=found.groups,
        post=found.post,
        private=found.private,
        data=data,
        expires=found.expires,
        invisible=found.invisible,
    )


def join(body: bytes) -> None:
    """Return if the connection may join.

    Raises:
        Deny: It may not.
        BadAnswerError: The answer is not one to ``join``.
    """
    _read(body, ("allow", "deny"))


def message(sent: msgspec.Raw, body: bytes) -> msgspec.Raw | None:
    """Return the message to send instead of `sent`, which may be the same; None to send nothing.

    Raises:
        Deny: The app refuses the message.
        BadAnswerError: The answer is not one to ``post`` or ``private``.
    """
    answer = _read(body, ("allow", "message", "swallow", "deny"))
    if answer.swallow is not UNSET:
        if not answer.swallow:
            raise BadAnswerError('"swallow" must be true: to send the message, answer {"allow": true}')
        return None
    return sent if isinstance(answer.message, UnsetType) else answer.message.copy()


def _read(body: bytes, fitting: tuple[str, ...]) -> _Answer:
    """Return an answer that has one of the fields in `fitting`. Raises `Deny` and `BadAnswerError`."""
    try:
        answer = _decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are a ValueError
        raise BadAnswerError(f"its body is not such JSON: {error}") from None
    if answer.allow is False and all(_get(answer, name) is UNSET for name in ("deny", "message", "swallow", "user")):
        raise Deny
    given = [name for name in _Answer.__struct_fields__ if _get(answer, name) is not UNSET]
    if len(given) != 1 or given[0] not in fitting:
        shown = " and ".join(given) or "none of them"
        raise BadAnswerError(f"it must have exactly one of the fields {', '.join(fitting)}, and has {shown}")
    if not isinstance(answer.deny, UnsetType):
        raise Deny(answer.deny)
    return answer


def _get(answer: _Answer, name: str) -> Any:
    return getattr(answer, name)
