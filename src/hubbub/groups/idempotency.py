"""Which posts were done already: the keys of late, each with the first result. Pure."""

from __future__ import annotations

from hashlib import blake2b

Scope = tuple[str, str, str] | bytes
"""Whose key it is: the sender, the recipient, the key. Others may use the same key for something else."""

_SHORT = 128
"""Characters up to which a scope is remembered as it is; of a longer one its digest is, so that all take little."""


def scope_of(sender: str, recipient: str, key: str) -> Scope:
    """Return what stands for a key: the three, or 16 bytes (BLAKE2b) if they are long."""
    if len(sender) + len(recipient) + len(key) <= _SHORT:
        return sender, recipient, key
    parts = (part.encode("utf-8", "surrogatepass") for part in (sender, recipient, key))
    return blake2b(b"\0\xff".join(parts), digest_size=16).digest()


class PostResults:
    """Two generations of keys: the older one is dropped as a whole, so that forgetting costs nothing.

    Args:
        age: Seconds for which a key is known at least, unless more than `most` followed it.
        most: Keys of one generation; there are up to twice as many.
    """

    def __init__(self, age: float, most: int) -> None:
        self._age = age
        self._most = most
        self._young: dict[Scope, int] = {}
        self._old: dict[Scope, int] = {}
        self._turned = 0.0

    def get(self, scope: Scope) -> int | None:
        """Return the result that was put there, or None."""
        found = self._young.get(scope)
        return self._old.get(scope) if found is None else found

    def put(self, scope: Scope, result: int) -> None:
        """Remember the result of a post."""
        if len(self._young) >= self._most:
            self._turn()
        self._young[scope] = result

    def sweep(self, now: float) -> None:
        """Let the older generation go when the younger one has reached the age, at `now`, seconds."""
        if now - self._turned >= self._age:
            self._turned = now
            self._turn()

    def _turn(self) -> None:
        self._young, self._old = {}, self._young
