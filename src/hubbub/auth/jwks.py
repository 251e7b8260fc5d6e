"""The keys of a JSON Web Key Set (RFC 7517): fetched in a thread, cached, and refreshed in time."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from jwt import PyJWK

from hubbub.errors import CommandError, ErrorCode

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
"""The values of ``alg`` that are accepted with a key of the set; the key must be of the matching type."""
TIMEOUT = 5.0
"""Seconds that the key server has to answer in full."""
REFRESH = 480.0
"""Seconds after which the keys are fetched again, so that they are never older than ten minutes."""
COOLDOWN = 10.0
"""Least seconds between fetches because of unknown key ids or failures: forged tokens must not cause a flood."""
MAX_SET = 1_048_576
"""Most bytes of a key set."""
MIN_RSA_BITS = 2048
"""RFC 7518, section 3.3."""

Keys = dict[tuple[str | None, str], PyJWK | None]
"""Key id (None for a key without one) and algorithm to the key; None where two keys have both in common."""

_log = logging.getLogger(__name__)


class Jwks:
    """The key set at a URL. While its server is down, the keys fetched last stay in use.

    Args:
        url: The address of the key set, ``https:`` or ``http:``.
        clock: Seconds on a clock that never goes back.
        timeout: Seconds for one fetch.
        refresh: Seconds between regular fetches.
        cooldown: Least seconds between other fetches.

    Attributes:
        ready: Whether keys have been fetched at least once.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = TIMEOUT,
        refresh: float = REFRESH,
        cooldown: float = COOLDOWN,
    ) -> None:
        self.ready = False
        self._url = url
        self._clock = clock
        self._timeout = timeout
        self._refresh = refresh
        self._cooldown = cooldown
        self._keys: Keys = {}
        self._tried = float("-inf")
        self._failing = False
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def find(self, kid: str | None, alg: str) -> PyJWK | None:
        """Return the key that a token names, of those fetched last; None if there is none or more than one.

        A token without `kid` matches only a key without one.
        """
        return self._keys.get((kid, alg))

    def start(self) -> None:
        """Fetch the keys in the background, now and regularly. Does not wait, so an outage delays nothing."""
        self._refreshing = asyncio.create_task(self._keep_fresh())

    async def close(self) -> None:
        """Stop fetching. Callers that still wait for keys are cancelled."""
        tasks = [task for task in (self._refreshing, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def renew(self) -> None:
        """Fetch the keys, unless that was tried within the cooldown. Concurrent callers share one fetch.

        Raises:
            CommandError: ``UNAVAILABLE``, the latest fetch failed.
        """
        if self._fetching is not None or self._clock() - self._tried >= self._cooldown:
            await self._fetch()
        if self._failing:
            raise CommandError(ErrorCode.UNAVAILABLE, "The keys for tokens cannot be fetched now: try again later.")

    async def _keep_fresh(self) -> None:
        while True:
            await self._fetch()
            await asyncio.sleep(self._cooldown if self._failing else self._refresh)

    async def _fetch(self) -> None:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_alone())
        await asyncio.shield(self._fetching)

    async def _fetch_alone(self) -> None:
        self._tried = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                self._keys = await asyncio.to_thread(fetch_keys, self._url, self._timeout)
        except (OSError, HTTPException, ValueError) as error:  # TimeoutError is an OSError, UnicodeError a ValueError
            if not self._failing:
                _log.warning("cannot fetch keys from %s: %s", _shown(self._url), error or type(error).__name__)
            self._failing = True
        else:
            if self._failing or not self.ready:
                _log.info("fetched %d keys from %s", len(self._keys), _shown(self._url))
            self._failing = False
            self.ready = True
        finally:
            self._fetching = None


def fetch_keys(url: str, timeout: float) -> Keys:
    """Fetch a key set over the network and parse it. Blocks for at most about twice `timeout` seconds.

    Raises:
        OSError: No connection, no response in time, or an error response.
        HTTPException: The response is not HTTP.
        ValueError: The response is too large, or not a key set with usable keys.
    """
    deadline = time.monotonic() + timeout
    try:
        with urllib.request.build_opener(_SameScheme).open(url, timeout=timeout) as response:
            body = bytearray()
            while chunk := response.read1(65_536):
                body += chunk
                if len(body) > MAX_SET:
                    raise ValueError(f"the key set is larger than {MAX_SET} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError("the response takes too long")
    except HTTPError as error:
        error.close()  # it holds the connection
        raise
    return parse_keys(bytes(body))


def parse_keys(document: bytes) -> Keys:
    """Return the keys of a set that can verify signatures; others are ignored (RFC 7517, section 5).

    Raises:
        ValueError: The document is not a key set, or has no usable key.
    """
    try:
        value = json.loads(document)
    except RecursionError:
        raise ValueError("the key set is nested too deep") from None
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list):
        raise ValueError('the key set is not an object with a list "keys"')
    keys: Keys = {}
    for jwk in value["keys"]:
        key = _parse_key(jwk) if isinstance(jwk, dict) else None
        if key is not None:
            place = (jwk.get("kid"), key.algorithm_name)
            keys[place] = None if place in keys else key
    if not keys:
        raise ValueError("the key set has no key for RS256, ES256 or EdDSA signatures")
    return keys


def _parse_key(jwk: dict[str, Any]) -> PyJWK | None:
    """Return the public key in `jwk`, bound to the one algorithm of its kind; None if it is not for signatures."""
    if not isinstance(jwk.get("kid"), str | None) or jwk.get("use", "sig") != "sig":
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    match jwk:
        case {"kty": "RSA"}:
            algorithm = "RS256"
        case {"kty": "EC", "crv": "P-256"}:
            algorithm = "ES256"
        case {"kty": "OKP", "crv": "Ed25519"}:
            algorithm = "EdDSA"
        case _:
            return None
    if jwk.get("alg", algorithm) != algorithm:
        return None
    # Only the public half: if a set contains private keys by mistake, they must not stay in our memory.
    public: dict[str, Any] = {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}
    try:
        key = PyJWK(public, algorithm)
    except Exception:
        # An invalid number, a point off the curve, an exponent that is too small: PyJWT and cryptography raise many
        # types of errors, and one bad key must not prevent the use of the others.
        return None
    return None if algorithm == "RS256" and key.key.key_size < MIN_RSA_BITS else key


def _shown(url: str) -> str:
    """Return `url` for the log, without the query, which may contain a secret."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the same scheme only: never from https to http, nor to a file."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise HTTPError(req.full_url, code, "redirect to another scheme", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
