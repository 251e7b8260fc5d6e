"""Which hook is for a group: the most specific one, looked up once."""

from __future__ import annotations

from hubbub.hub import routes
from hubbub.hub.registry import Registry
from hubbub.hub.routes import Routes
from hubbub.hub.types import Member


def made(*patterns: str | None) -> Routes:
    hub = Registry()

    async def hook(member: Member, **names: str) -> None: ...

    for pattern in patterns:
        hub.on_join(pattern)(hook)
    return Routes(hub.hooks("on_join"))


def test_the_most_specific_hook_is_found() -> None:
    found = made(None, "team-{team}", "team-{team}-staff", "lobby")
    for group, text, names in [
        ("team-red-staff", "team-{team}-staff", {"team": "red"}),
        ("team-red", "team-{team}", {"team": "red"}),
        ("lobby", "lobby", {}),
        ("other", "", {}),
    ]:
        hook = found.find(group)
        assert hook is not None
        assert (hook[0].pattern.text, hook[1]) == (text, names)
        assert found.has(group)


def test_groups_without_a_hook() -> None:
    assert not made()
    assert not made().has("x")
    found = made("team-{team}")
    assert (found.find("x"), found.has("x"), bool(found)) == (None, False, True)


def test_what_is_remembered_is_bounded() -> None:
    found = made("team-{team}")
    for number in range(routes.MOST_REMEMBERED + 10):
        found.has(f"team-{number}")
    assert len(found._found) <= routes.MOST_REMEMBERED
    assert found.has("team-0")
