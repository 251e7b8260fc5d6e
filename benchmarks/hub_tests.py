"""How long 100 tests of a small app take: ``python -m pytest -q -p hubbub.testing benchmarks/hub_tests.py``.

The app has a login, a rule for who may join, and moderation. Each test has a hub of its own and two users.
"""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from hubbub import Deny, Hub, Member, Post, User
from hubbub.testing import SyncTestHub, TestHub


@pytest.fixture
def app_hub() -> Hub:
    """The hub of the app."""
    hub = Hub()

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        name = conn.cookies.get("user")
        return None if name is None else User(name, data=conn.query_params.get("team"))

    @hub.on_join("team-{team}")
    async def may_join(member: Member, team: str) -> None:
        if member.data != team:
            raise Deny("Not your team.")

    @hub.on_post("team-{team}")
    async def moderate(post: Post[str], team: str) -> str:
        return post.message.strip()

    return hub


@pytest.mark.parametrize("number", range(50))
def test_sync(hub: SyncTestHub, number: int) -> None:
    """A conversation and a refusal, without async."""
    alice = hub.connect(cookies={"user": "alice"}, query={"team": "1"}, join="team-1")
    bob = hub.connect(cookies={"user": "bob"}, query={"team": "1"}, join="team-1")
    alice.post(f" hello {number} ")
    assert bob.next().message == f"hello {number}"
    with hub.refused("FORBIDDEN"):
        bob.join("team-2")
    hub.sleep(30)


@pytest.mark.parametrize("number", range(50))
async def test_async(hub: TestHub, number: int) -> None:
    """The same with async."""
    alice = await hub.connect(cookies={"user": "alice"}, query={"team": "1"}, join="team-1")
    bob = await hub.connect(cookies={"user": "bob"}, query={"team": "1"}, join="team-1")
    await alice.post(f" hello {number} ")
    assert (await bob.next()).message == f"hello {number}"
    with hub.refused("FORBIDDEN"):
        await bob.join("team-2")
    await hub.sleep(30)
