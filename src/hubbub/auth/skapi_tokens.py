"""Tokens for ``skapi-js``: ordinary tokens of Hubbub, with the additional claims that this client checks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import TypedDict

from hubbub.auth.authenticator import make_token
from hubbub.errors import SettingsError

DAY = 86_400.0
"""Lifetime of the tokens, seconds. The 2.0 client drops a token an hour before it expires, and cannot get a new one."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# fmt: off
_REGIONS = [
    "us31", "us72", "ap51", "ap22", "ap41", "eu71", "ap21", "us32", "us71", "af51", "ap31",
    "ap43", "ap23", "ap42", "ca01", "eu01", "eu72", "eu51", "eu73", "eu11", "me51", "sa31",
]
# fmt: on

_PLAIN = re.compile(r"[A-Za-z0-9]{5,}")
_LONG = re.compile(
    r"([A-Za-z0-9]{12})-([A-Za-z0-9])([A-Za-z0-9]{4})-[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SkapiTokens(TypedDict):
    """The argument of ``skapi.loginWithToken()``."""

    idToken: str
    accessToken: str
    refreshToken: str


def make_skapi_tokens(
    user_id: str,
    secret: str,
    service: str,
    *,
    name: str | None = None,
    email: str | None = None,
    ttl: float = DAY,
    groups: list[str] | None = None,
    private: bool = True,
    post: list[str] | None = None,
    issuer: str | None = None,
    audience: str | None = None,
) -> SkapiTokens:
    """Return the three tokens that a page passes to ``skapi.loginWithToken()``.

    Args:
        user_id: The user that they identify: a lower-case UUID, since the client accepts no other user ids.
        secret: The server's secret, at least 32 bytes.
        service: The service id that the page passes to ``new Skapi(...)``, in any form.
        name: The display name, which ``getUsers()`` returns.
        email: For the page, in the profile of its user.
        ttl: Seconds until they expire.
        groups: Glob patterns of the groups that they allow; None for all.
        private: Whether they allow private messages and WebRTC signals.
        post: Glob patterns of the groups that they allow to post to; None for all that they allow to join.
        issuer: ``iss``, if the server requires one.
        audience: ``aud``, if the server requires one.

    Raises:
        SettingsError: `user_id` is no UUID, `service` is not a service id, or `secret` is too short.
    """
    if not _UUID.fullmatch(user_id):
        raise SettingsError(
            f"skapi-js accepts only lower-case UUIDs as user ids, and {user_id!r} is not one "
            '(make one with: python3 -c "import uuid; print(uuid.uuid4())")'
        )
    own: dict[str, object] = {} if name is None else {"name": name}  # the server reads the name from the accessToken
    profile = {
        **own,
        "custom:service": service_id(service),
        "cognito:username": user_id,  # the client keeps the session under this name across reloads
    }
    if email is not None:
        profile |= {"email": email, "email_verified": True}

    def make(extra: Mapping[str, object]) -> str:
        return make_token(
            user_id,
            secret,
            ttl=ttl,
            groups=groups,
            private=private,
            post=post,
            issuer=issuer,
            audience=audience,
            extra=extra,
        )

    # The client sends the refresh token to Amazon Cognito only; any text will do.
    return {"idToken": make(profile), "accessToken": make(own), "refreshToken": secrets.token_urlsafe(16)}


def service_id(text: str) -> str:
    """Return the internal service id for what a page passes to ``new Skapi(...)``, as the client computes it.

    Pages pass the internal id (no dashes), the long form (seven parts, with the owner's UUID in it), or since version
    1.5 the compressed form (two parts).

    Raises:
        SettingsError: `text` has none of these forms.
    """
    compressed = text.split("-")
    if len(compressed) == 2 and compressed[0][:1] in _DIGITS:
        size, rest = _DIGITS.index(compressed[0][:1]), compressed[0][1:]
        head, middle, first_two = rest[: -size - 2], rest[-size - 2 : -2], rest[-2:]
        if len(head) == 10 and middle and middle[0] in _DIGITS[: len(_REGIONS)]:
            return _REGIONS[_DIGITS.index(middle[0])] + first_two + head + middle[1:]
    elif (found := _LONG.fullmatch(text)) and found[2] in _DIGITS[: len(_REGIONS)]:
        return _REGIONS[_DIGITS.index(found[2])] + found[1] + found[3]
    elif _PLAIN.fullmatch(text):
        return text
    raise SettingsError(f'{text!r} is not a service id: use what the page passes to "new Skapi(...)"')
