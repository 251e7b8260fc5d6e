"""Which posts were done already: the keys of late, each with the first result. Pure."""

from __future__ import annotations

from hashlib import blake2b

Scope = tuple[str, str, str]
"""Whose key it is: the sender, the recipient, the key. Others may use the same key for something else."""


class Keys:
    """Two generations of keys: the older one is dropped as a whole, so that forgetting costs nothing.

    Args:
        age: Seconds for which a key is known at least, unless more than `most` followed it.
        most: Keys of one generation; there are up to twice as many.
    """

    def __init__(self, age: float, most: int) -> None:
        self._age = age
        self._most = most
        # By digest: a scope of long names takes 3 kB, and 200,000 of those would fill a small machine.
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._turned = 0.0

    def get(self, scope: Scope) -> int | None:
        """Return the result that was put there, or None."""
        digest = _digest(scope)
        found = self._young.get(digest)
        return self._old.get(digest) if found is None else found

    def put(self, scope: Scope, result: int) -> None:
        """Remember the result of a post."""
        if len(self._young) >= self._most:
            self._turn()
        self._young[_digest(scope)] = result

    def sweep(self, now: float) -> None:
        """Let the older generation go when the younger one has reached the age, at `now`, seconds."""
        if now - self._turned >= self._age:
            self._turned = now
            self._turn()

    def _turn(self) -> None:
        self._young, self._old = {}, self._young


def _digest(scope: Scope) -> bytes:
    """Return 16 bytes that no other scope has; each part has its length in front, so that parts cannot be shifted."""
    sender, recipient, key = scope
    text = f"{len(sender)} {len(recipient)} {sender}{recipient}{key}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
