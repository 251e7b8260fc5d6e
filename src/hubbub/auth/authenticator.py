"""Authentication: a token, a guest name or a ticket to an `Identity`.

A token is a JSON Web Token (RFC 7519). This module decides which keys and which algorithms can verify it; the token's
header only selects among those. PyJWT's algorithms verify the signatures. ``jwt.decode`` is not used, because it
examines the secret anew for every token and takes four times as long.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unicodedata import category

import jwt
from jwt.algorithms import HMACAlgorithm

from hubbub.auth.bans import TicketUse
from hubbub.auth.claims import GUEST_PREFIX, read_claims, unauthorized
from hubbub.auth.guest_keys import check_guest_key
from hubbub.auth.identity import Identity
from hubbub.auth.jwks import ALGORITHMS, Jwks
from hubbub.auth.tickets import Tickets
from hubbub.auth.token_format import parse_token
from hubbub.errors import CommandError, ErrorCode, SettingsError, invalid
from hubbub.messages import Connect
from hubbub.settings import Settings, secret_bytes

_HS256 = HMACAlgorithm(HMACAlgorithm.SHA256)
_WRONG_KEY = {
    True: "The token's signature is wrong: it was signed with another secret than this server's. Sign it with the one "
    "that the server was started with (HUBBUB_SECRET or --secret-file), without a line break at its end.",
    False: 'The token\'s signature is wrong: it was not made with the key of the key set that its "kid" names.',
}


class Authenticator:
    """Tells whom a token, a guest name or a ticket identifies.

    Args:
        settings: The secret, key set, issuer, audience, leeway and limits.
        unix_time: Unix time in seconds; the claims are compared with it.
        clock: Seconds on a clock that never goes back; limits how often keys are fetched.

    Attributes:
        tickets: Issues and checks tickets.

    Raises:
        SettingsError: The secret looks like a public key or certificate, which is no secret.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        unix_time: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._unix_time = unix_time
        self._secret = None if settings.secret is None else _prepare_secret(settings.secret)
        self._jwks = None if settings.jwks_url is None else Jwks(settings.jwks_url, clock=clock)
        self.tickets = Tickets(settings.leeway, unix_time, issuer=settings.issuer, audience=settings.audience)

    @property
    def waits(self) -> bool:
        """Whether `authenticate` may have to wait for the network; otherwise `check` never returns None."""
        return self._jwks is not None

    @property
    def accepts_tokens(self) -> bool:
        """Whether there are keys to verify tokens with."""
        return self._settings.has_keys

    @property
    def ready(self) -> bool:
        """Whether tokens can be verified: False while a key set is configured but was never fetched."""
        return self._jwks is None or self._jwks.ready

    async def start(self) -> None:
        """Start to fetch the key set, if there is one. Returns at once; if the key server is down, that is logged."""
        if self._jwks is not None:
            self._jwks.start()

    async def close(self) -> None:
        """Stop fetching the key set."""
        if self._jwks is not None:
            await self._jwks.close()

    async def identify(self, command: Connect) -> tuple[Identity, TicketUse | None]:
        """Return whom a `Connect` identifies and, if it brought a ticket, what the backend needs to use that up.

        Raises:
            CommandError: ``INVALID_PARAMETER``, not exactly one of token, guest and ticket, or a guest key that is
                malformed or comes without a guest name; and what `authenticate`, `guest` and
                `hubbub.auth.tickets.Tickets.check` raise.
        """
        given = (command.token, command.guest, command.ticket)
        if sum(each is not None for each in given) != 1:
            raise invalid('"connect" needs exactly one of "token", "guest" and "ticket".')
        if command.guest_key is not None:
            if command.guest is None:
                raise invalid('"guest_key" belongs to "guest": leave it out with a token or a ticket.')
            check_guest_key(command.guest_key)
        if command.token is not None:
            return await self.authenticate(command.token), None
        if command.ticket is not None:
            return self.tickets.check(command.ticket)
        assert command.guest is not None
        return self.guest(command.guest), None

    def seconds_left(self, identity: Identity) -> float | None:
        """Return for how many seconds the rights of `identity` still last; None if they never end.

        A token that expired within the leeway is accepted: it lasts until the leeway is over.
        """
        if identity.expires is None:
            return None
        left = identity.expires - self._unix_time()
        return left if left > 0 else left + self._settings.leeway

    def check(self, token: str) -> Identity | None:
        """Return whom `token` identifies, with the keys fetched so far; None if its key must be fetched first.

        None is returned only if `waits` is true; then call `authenticate`.

        Raises:
            CommandError: ``UNAUTHORIZED``, with a sentence that says why and does not quote the token.
        """
        parts = parse_token(token)
        if self._secret is not None and parts.alg == "HS256":
            genuine = _HS256.verify(parts.signed, self._secret, parts.signature)
        elif self._jwks is not None and parts.alg in ALGORITHMS:
            key = self._jwks.find(parts.kid, parts.alg)
            if key is None:
                return None
            genuine = key.Algorithm.verify(parts.signed, key.key, parts.signature)
        elif self._settings.has_keys:
            raise unauthorized(
                'The token\'s "alg" is not accepted: use HS256 with a secret, or RS256, ES256 or EdDSA with a key set.'
            )
        else:
            raise unauthorized("This server accepts no tokens: configure a secret or a JWKS URL.")
        if not genuine:
            raise unauthorized(_WRONG_KEY[parts.alg == "HS256"])
        return read_claims(parts.payload, self._settings, self._unix_time())

    async def authenticate(self, token: str) -> Identity:
        """Return whom `token` identifies. Waits only if its key must be fetched.

        Raises:
            CommandError: ``UNAUTHORIZED``, as in `check`; ``UNAVAILABLE``, the keys cannot be fetched now.
        """
        identity = self.check(token)
        if identity is None:
            assert self._jwks is not None
            await self._jwks.renew()
            identity = self.check(token)
        if identity is None:
            raise unauthorized('The token\'s key is not in the key set: check "kid" and "alg".')
        return identity

    def guest(self, name: str) -> Identity:
        """Return the identity of a guest, who may join every group.

        On a server that accepts tokens too, the user id is `GUEST_PREFIX` and `name`, so that it cannot be the id of a
        user with a token.

        Raises:
            CommandError: ``FORBIDDEN``, guests are not accepted; ``INVALID_PARAMETER``, `name` cannot be a user id.
        """
        if not self._settings.allow_guests:
            raise CommandError(ErrorCode.FORBIDDEN, "This server does not accept guests: connect with a token.")
        prefix = GUEST_PREFIX if self._settings.has_keys else ""
        most = self._settings.max_user_id - len(prefix)
        if not 1 <= len(name) <= most:
            raise invalid(f'"guest" must have 1 to {most} characters; it has {len(name)}.')
        if any(category(character) in {"Cc", "Cs"} for character in name):
            raise invalid('"guest" must not contain control characters or halves of surrogate pairs.')
        if name.isspace():
            raise invalid('"guest" must not consist of white space only.')
        return Identity(prefix + name)


def make_token(
    user_id: str,
    secret: str,
    *,
    ttl: float = 3600,
    groups: Sequence[str] | None = None,
    server: bool = False,
    private: bool = True,
    post: Sequence[str] | None = None,
    invisible: bool = False,
    issuer: str | None = None,
    audience: str | None = None,
    now: float | None = None,
    extra: Mapping[str, object] | None = None,
) -> str:
    """Return a token (HS256) that a server with the same `secret` accepts.

    Args:
        user_id: The user that it identifies (``sub``).
        secret: At least 32 bytes.
        ttl: Seconds until it expires (``exp``).
        groups: Glob patterns of the groups that it allows to join; None for all. `escape_group` makes a pattern that
            matches one name, whatever characters that has.
        server: Whether it gives the rights of a server (``"role": "server"``).
        private: Whether it allows private messages and signals.
        post: Glob patterns of the groups that it allows to post to; None for all that it allows to join.
        invisible: Whether it allows to be in groups without being listed, counted or announced there.
        issuer: ``iss``, if the server requires one.
        audience: ``aud``, if the server requires one.
        now: Unix time in seconds at which it is issued; None for the present.
        extra: Further claims, which the server ignores.

    Raises:
        SettingsError: `secret` is too short, or looks like a public key.
    """
    key = _prepare_secret(secret)
    issued = time.time() if now is None else now
    optional = {
        "groups": None if groups is None else list(groups),
        "role": "server" if server else None,
        "private": None if private else False,
        "post": None if post is None else list(post),
        "invisible": True if invisible else None,
        "iss": issuer,
        "aud": audience,
    }
    claims: dict[str, Any] = {
        **(extra or {}),
        "sub": user_id,
        "iat": math.floor(issued),
        "exp": math.ceil(issued + ttl),
    }
    claims.update({name: value for name, value in optional.items() if value is not None})
    return jwt.encode(claims, key, algorithm="HS256")


def _prepare_secret(secret: str) -> bytes:
    try:
        return _HS256.prepare_key(secret_bytes(secret))
    except jwt.InvalidKeyError:
        raise SettingsError("secret must not be a public key; make one with: openssl rand -hex 32") from None
