"""Which of several hooks is for a group: looked up once for each name, and remembered. Pure."""

from __future__ import annotations

from hubbub.hub.registry import Hook

MOST_REMEMBERED = 2_000
"""Groups whose hook is remembered; beyond that all are looked up again."""

Found = tuple[Hook, dict[str, str]]
"""A hook, and what the names in its pattern stand for."""


class Routes:
    """The hooks for one event.

    Args:
        hooks: The hooks, the most specific first.
    """

    def __init__(self, hooks: list[Hook]) -> None:
        self._hooks = hooks
        self._found: dict[str, Found | None] = {}
        self._for_all = len(hooks) > 0 and not hooks[-1].pattern.text

    def __bool__(self) -> bool:
        """Whether there is any hook."""
        return bool(self._hooks)

    def has(self, group: str) -> bool:
        """Whether there is a hook for `group`."""
        return self._for_all or (bool(self._hooks) and self.find(group) is not None)

    def find(self, group: str) -> Found | None:
        """Return the most specific hook for `group`, and its arguments; None if there is none."""
        try:
            return self._found[group]
        except KeyError:
            pass
        found = None
        for hook in self._hooks:
            if (names := hook.pattern.match(group)) is not None:
                found = hook, names
                break
        if len(self._found) >= MOST_REMEMBERED:
            self._found.clear()
        self._found[group] = found
        return found
