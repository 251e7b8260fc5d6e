"""Rights: globs against an oracle that is written out by hand, and the errors."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.auth.identity import Identity
from hubbub.errors import CommandError, ErrorCode


def matches(glob: str, name: str) -> bool:
    """Match by the definition, for globs without ``]``: so a ``[`` is only itself."""
    if not glob:
        return not name
    if glob[0] == "*":
        return any(matches(glob[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and glob[0] in ("?", name[0]) and matches(glob[1:], name[1:])


@given(st.lists(st.text("ab*?[.\n", max_size=6), max_size=3), st.text("abAB*?[.\n", max_size=6))
def test_stars_and_question_marks(globs: list[str], name: str) -> None:
    assert Identity("alice", tuple(globs)).may_join(name) == any(matches(glob, name) for glob in globs)


@given(st.text("abc", min_size=1), st.booleans(), st.characters())
def test_sets_of_characters(members: str, negated: bool, character: str) -> None:
    glob = f"[{'!' if negated else ''}{members}]"
    assert Identity("alice", (glob,)).may_join(character) == ((character in members) != negated)


@given(st.text("[]!^-&|~\\ab*?(){}.+$", max_size=12), st.text("[]!^-&|~\\ab", max_size=4))
@example("[[a]", "a")
@example("[a--b]", "a")
@example("[a&&b]", "a")
@example("[z-a]", "a")
@example("[", "[")
def test_no_glob_is_an_error_or_a_warning(glob: str, name: str) -> None:
    assert Identity("alice", (glob,)).may_join(name) in (True, False)


@pytest.mark.parametrize(
    ("glob", "name", "allowed"),
    [
        ("chat", "chat", True),
        ("chat", "Chat", False),
        ("chat", "chats", False),
        ("chat", "a chat", False),
        ("chat", "chat\n", False),
        ("*", "", True),
        ("*", "two\nlines 🎈", True),
        ("room-?", "room-1", True),
        ("room-?", "room-12", False),
        ("room-[1-3]", "room-2", True),
        ("room-[!1-3]", "room-2", False),
        ("team.*", "teamX", False),
        ("[*]", "*", True),
        ("[*]", "a", False),
    ],
)
def test_globs_by_example(glob: str, name: str, allowed: bool) -> None:
    assert Identity("alice", (glob,)).may_join(name) is allowed


def test_without_patterns_everything_is_allowed_and_with_an_empty_list_nothing() -> None:
    assert Identity("alice").may_join("any")
    assert not Identity("alice", ()).may_join("any")
    assert not Identity("alice", ()).may_join("")


def test_many_stars_are_answered_at_once() -> None:
    """A matcher that tries all splits would need longer than the universe has."""
    assert not Identity("alice", ("*a" * 100 + "b",)).may_join("a" * 256)


def test_what_is_required_and_missing_is_forbidden() -> None:
    guest = Identity("alice", ("a*",))
    guest.require_group("abc")
    Identity("backend", server=True).require_server()
    with pytest.raises(CommandError) as group:
        guest.require_group("b")
    assert (group.value.code, group.value.message) == (
        ErrorCode.FORBIDDEN,
        'Your rights ("groups") do not allow the group "b".',
    )
    with pytest.raises(CommandError, match="server token") as server:
        guest.require_server()
    assert server.value.code is ErrorCode.FORBIDDEN


def test_an_identity_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Identity("alice").server = True  # type: ignore[misc]
