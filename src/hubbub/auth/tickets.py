"""Tickets: with one, a client can reconnect after a restart without a new token.

A node that stops gives each of its connections a ticket. For a short time every node that shares the key accepts it in
place of a token. So clients need not fetch tokens from their issuer, and nodes need not verify signatures with a key
set, at the moment when all clients reconnect. A ticket gives the rights of the token, and lasts no longer than that.

It is a JSON Web Token (RFC 7519), signed with a key that signs nothing else, so no token passes for a ticket and no
ticket for a token. It names the issuer and the audience that its node requires of tokens, and is accepted only where
the same are required. It can be used once, on a new connection, and not after a kick: the backend enforces that for
all nodes (`hubbub.backends.base.Backend.connect`).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from contextlib import suppress
from secrets import token_urlsafe

import jwt
import msgspec
from jwt.types import Options

from hubbub.auth.bans import TICKET_LIFE, TicketUse
from hubbub.auth.claims import unauthorized
from hubbub.auth.identity import Identity

LIFE = 60.0
"""Seconds for which a ticket is valid, counted from when its holder should reconnect."""

MOST_LEEWAY = 60.0
"""Most seconds by which the clocks of nodes may differ, as far as tickets are concerned."""

_ALGORITHM = "HS256"
_CHECKED_HERE: Options = {"verify_exp": False, "verify_aud": False, "verify_iss": False, "verify_jti": False}


class Tickets:
    """Issues and checks tickets, once it has a key.

    Args:
        leeway: Seconds by which the clocks of nodes may differ.
        unix_time: Unix time, seconds.
        issuer: ``iss`` that the settings require of tokens, or None.
        audience: The same for ``aud``.
    """

    def __init__(
        self,
        leeway: float,
        unix_time: Callable[[], float] = time.time,
        *,
        issuer: str | None = None,
        audience: str | None = None,
    ) -> None:
        self._leeway = min(leeway, MOST_LEEWAY)
        self._unix_time = unix_time
        self._source = {"iss": issuer or "", "aud": audience or ""}
        self._key: bytes | None = None

    def use(self, secret: bytes | None) -> None:
        """Derive the key from a secret that all nodes share; with None, no tickets are issued or accepted."""
        self._key = None if secret is None else hmac.digest(secret, b"hubbub tickets", "sha256")

    def issue(self, identity: Identity, after: float) -> str | None:
        """Return a ticket for a client that should reconnect `after` so many seconds.

        None without a key, and for guests, who need none.
        """
        if self._key is None or identity.expires is None:
            return None
        life = min(after + LIFE, TICKET_LIFE - 2 * self._leeway)  # on every node's clock it expires within TICKET_LIFE
        claims = {"identity": msgspec.to_builtins(identity), "exp": self._unix_time() + life, "jti": token_urlsafe(15)}
        claims.update(self._source)
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def check(self, ticket: str) -> tuple[Identity, TicketUse]:
        """Return whom `ticket` identifies, and what the backend needs to use it up.

        Raises:
            CommandError: ``UNAUTHORIZED``, it was not issued by this server, or it or its token has expired.
        """
        if self._key is not None:
            with suppress(jwt.InvalidTokenError, RecursionError):  # RecursionError: a header that is nested too deep
                claims = jwt.decode(ticket, self._key, algorithms=[_ALGORITHM], options=_CHECKED_HERE)
                identity = msgspec.convert(claims["identity"], Identity)
                left = min(claims["exp"], identity.expires or 0) + self._leeway - self._unix_time()
                ours = claims.items() >= self._source.items() and "jti" in claims  # older tickets have no id
                if ours and 0 < left <= TICKET_LIFE:
                    return identity, TicketUse(claims["jti"], left)
        raise unauthorized("The ticket is not valid or has expired: connect with a token.")
