"""Results of recent posts by key, so that a repeated post is not delivered again. Pure."""

from __future__ import annotations

from hashlib import blake2b

Scope = tuple[str, str, str] | bytes
"""The sender, the recipient and the key: the same key of another sender, or to another recipient, is another post."""

_SHORT = 128
"""Most characters of a scope that is remembered unchanged; of a longer one the digest is, which takes less memory."""


def scope_of(sender: str, recipient: str, key: str) -> Scope:
    """Return the scope of a key: sender, recipient and key, or a digest of 16 bytes (BLAKE2b) if they are long."""
    if len(sender) + len(recipient) + len(key) <= _SHORT:
        return sender, recipient, key
    parts = (part.encode("utf-8", "surrogatepass") for part in (sender, recipient, key))
    return blake2b(b"\0\xff".join(parts), digest_size=16).digest()


class PostResults:
    """The results, in two generations: the older one is dropped as a whole, so that removing keys costs nothing.

    Args:
        age: Seconds for which a key is remembered at least, unless more than `most` keys follow it.
        most: Most keys of one generation; there are up to twice as many.
    """

    def __init__(self, age: float, most: int) -> None:
        self._age = age
        self._most = most
        self._young: dict[Scope, int] = {}
        self._old: dict[Scope, int] = {}
        self._last_turn = 0.0

    def get(self, scope: Scope) -> int | None:
        """Return the result of the first post with this scope, or None."""
        found = self._young.get(scope)
        return self._old.get(scope) if found is None else found

    def put(self, scope: Scope, result: int) -> None:
        """Remember the result of a post."""
        if len(self._young) >= self._most:
            self._turn()
        self._young[scope] = result

    def sweep(self, now: float) -> None:
        """Drop the older generation if the younger one has reached the age at `now`, in seconds."""
        if now - self._last_turn >= self._age:
            self._last_turn = now
            self._turn()

    def _turn(self) -> None:
        self._young, self._old = {}, self._young
