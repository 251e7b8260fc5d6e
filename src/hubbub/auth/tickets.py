"""Tickets: with one, who was told to come back need not prove again who it is.

A node that stops gives each of its connections a ticket. For a short time any node that shares the key takes it in
place of a token: no token has to be fetched from whoever issues them, and no signature of a key set to be checked, at
the very moment at which everybody comes. It gives the rights that the token gave, for as long as the token would have.

It is a JSON Web Token of our own (RFC 7519), signed with a key that signs nothing else. So no token can pass for a
ticket, and no ticket for a token. It names the issuer and the audience that its node requires of tokens, and is taken
only where the same are required. It can be used once, on a new connection, and not after a kick: the backend
sees to that (`hubbub.backends.base.Backend.connect`), where all nodes look.
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
"""Seconds for which a ticket is good, counted from when its holder is to come back."""

MOST_LEEWAY = 60.0
"""Seconds by which the clocks of nodes may differ at most, as far as tickets are concerned."""

_ALGORITHM = "HS256"
_CHECKED_HERE: Options = {"verify_exp": False, "verify_aud": False, "verify_iss": False, "verify_jti": False}


class Tickets:
    """Makes and checks tickets, once it has a key.

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
        """Take the key from something that all nodes share and nobody else knows; None: there are no tickets."""
        self._key = None if secret is None else hmac.digest(secret, b"hubbub tickets", "sha256")

    def issue(self, identity: Identity, after: float) -> str | None:
        """Return a ticket for somebody who is to come back `after` so many seconds.

        None without a key, and for guests, who have nothing to prove.
        """
        if self._key is None or identity.expires is None:
            return None
        life = min(after + LIFE, TICKET_LIFE - 2 * self._leeway)  # by whichever clock, it ends within TICKET_LIFE
        claims = {"identity": msgspec.to_builtins(identity), "exp": self._unix_time() + life, "jti": token_urlsafe(15)}
        claims.update(self._source)
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def check(self, ticket: str) -> tuple[Identity, TicketUse]:
        """Return whom `ticket` belongs to, and what the backend must know to take it once only.

        Raises:
            CommandError: ``UNAUTHORIZED``, it is none of this server's, or has ended, or the token has that it is for.
        """
        if self._key is not None:
            with suppress(jwt.InvalidTokenError, RecursionError):  # the latter for a header that is nested too deep
                claims = jwt.decode(ticket, self._key, algorithms=[_ALGORITHM], options=_CHECKED_HERE)
                identity = msgspec.convert(claims["identity"], Identity)
                left = min(claims["exp"], identity.expires or 0) + self._leeway - self._unix_time()
                ours = claims.items() >= self._source.items() and "jti" in claims  # older versions gave them no id
                if ours and 0 < left <= TICKET_LIFE:
                    return identity, TicketUse(claims["jti"], left)
        raise unauthorized("The ticket is not valid, or not any more: connect with a token.")
