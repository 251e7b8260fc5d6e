"""Tickets: with one, who was told to come back need not prove again who it is.

A node that stops gives each of its connections a ticket. For a short time any node that shares the key takes it in
place of a token: no token has to be fetched from whoever issues them, and no signature of a key set to be checked, at
the very moment at which everybody comes. It gives the rights that the token gave, for as long as the token would have.

It is a JSON Web Token of our own (RFC 7519), signed with a key that signs nothing else. So no token can pass for a
ticket, and no ticket for a token.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from contextlib import suppress

import jwt
import msgspec

from hubbub.claims import unauthorized
from hubbub.identity import Identity

LIFE = 60.0
"""Seconds for which a ticket is good, counted from when its holder is to come back."""

_ALGORITHM = "HS256"


class Tickets:
    """Makes and checks tickets, once it has a key.

    Args:
        leeway: Seconds by which the clocks of nodes may differ.
        wall: Unix time, seconds.
    """

    def __init__(self, leeway: float, wall: Callable[[], float] = time.time) -> None:
        self._leeway = leeway
        self._wall = wall
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
        claims = {"identity": msgspec.to_builtins(identity), "exp": self._wall() + after + LIFE}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def check(self, ticket: str) -> Identity:
        """Return whom `ticket` belongs to.

        Raises:
            CommandError: ``UNAUTHORIZED``, it is none of this server's, or has ended, or the token has that it is for.
        """
        if self._key is not None:
            with suppress(jwt.InvalidTokenError, RecursionError):  # the latter for a header that is nested too deep
                claims = jwt.decode(ticket, self._key, algorithms=[_ALGORITHM], options={"verify_exp": False})
                identity = msgspec.convert(claims["identity"], Identity)
                if min(claims["exp"], identity.expires or 0) + self._leeway > self._wall():
                    return identity
        raise unauthorized("The ticket is not valid, or not any more: connect with a token.")
