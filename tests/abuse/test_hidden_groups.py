"""A client that may see some groups learns nothing about others; its pages are cheap, whatever its token holds."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hubbub.auth.identity import Identity
from hubbub.backends.memory import MemoryBackend
from hubbub.counters import Counters
from hubbub.groups.cursors import Cursors
from hubbub.messages import Groups, UserRow
from hubbub.server import Server
from hubbub.services import Services
from hubbub.settings import Settings
from support.clients import SECRET, Peer, bearer, token

pytestmark = pytest.mark.alone

Make = Callable[..., Awaitable[Any]]


async def _filled(groups: list[str]) -> MemoryBackend:
    backend = MemoryBackend()
    for number, group in enumerate(groups):
        user = UserRow(f"u{number}", f"c{number}")
        await backend.connect(user, 10)
        await backend.join(user, group)
    return backend


async def test_a_page_for_a_thousand_patterns_costs_the_loop_milliseconds() -> None:
    backend = await _filled([f"room:{number:05}" for number in range(3000)])
    services = Services(Settings(), backend, Counters(), Cursors())
    globs = tuple(f"team-?-{number:04}-*" for number in range(1000))
    spent = []
    for _ in range(3):
        start = time.thread_time()
        page = await services.groups(Identity("eve", globs), Groups(limit=1000))
        spent.append(time.thread_time() - start)
        assert page.list == []
        assert not page.end_of_list
    assert min(spent) < 0.02  # 0.5 s when every pattern was tried for every name


@pytest.mark.parametrize("order", ["group", "number_of_users"])
@pytest.mark.parametrize("entrance", ["v1", "http", "skapi"])
async def test_cursors_tell_nothing_and_work_at_every_entrance(
    order: str, entrance: str, start: Make, peers: Make, browse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.groups.directory.MOST_HIDDEN", 3)
    server: Server = await start(secret=SECRET, guests=False)
    for number in range(20):
        await peers(server, token=token(f"u{number}"), group=f"secret-{number:02}" if number % 5 else f"mine-{number}")
    claims: dict[str, Any] = {"user": "eve", "groups": ["mine-*"]}
    peer: Peer = await peers(server, token=token(**claims))
    http = browse(server, headers=bearer(**claims))

    async def page(start_key: Any) -> dict[str, Any]:
        if entrance == "v1":
            return await peer.do("groups", searchFor=order, limit=2, startKey=start_key)
        if entrance == "http":
            asked = {"searchFor": order, "limit": "2", "startKey": start_key}
            asked["startKey"] = start_key if isinstance(start_key, str) else json.dumps(start_key)
            answer = await http.get("/v1/groups", params=asked)
        else:
            every: dict[str, Any] = {"value": " " if order == "group" else 0, "condition": ">"}
            body = {"service": "s", "searchFor": order, "limit": 2, "startKey": start_key, **every}
            answer = await http.post("/skapi/get-ws-group", json=body, headers={"Authorization": token(**claims)})
        listed: dict[str, Any] = answer.json()
        return listed

    rows, start_key, pages = [], "start", 0
    while start_key != "end":
        found = await page(start_key)
        rows += [row.get("group") or row["rid"].partition("#")[2] for row in found["list"]]
        start_key = found["startKey"]
        assert "secret" not in json.dumps(found)
        if start_key != "end":
            assert list(start_key) == ["cursor"]
        pages += 1
    assert sorted(rows) == ["mine-0", "mine-10", "mine-15", "mine-5"]
    assert pages > 3
    for wrong in ({"cursor": "AAAA"}, {"group": "mine-0"}, {"number_of_users": 1, "group": "a"}):
        refused = await peer.fail("groups", searchFor=order, startKey=wrong)
        assert refused["code"] == "INVALID_PARAMETER"
        assert '"startKey"' in refused["message"]


async def test_other_users_and_unfiltered_readers(start: Make, peers: Make) -> None:
    server: Server = await start(secret=SECRET, guests=False)
    eve, ada = [await peers(server, token=token(user, groups=["*"]), group=user) for user in ("eve", "ada")]
    sealed = (await eve.do("groups", limit=1))["startKey"]
    assert (await eve.do("groups", limit=1, startKey=sealed))["list"][0]["group"] == "eve"
    assert '"startKey"' in (await ada.fail("groups", limit=1, startKey=sealed))["message"]
    await eve.do("connect", token=token("eve"))  # a renewed token that allows everything, between two pages
    assert (await eve.do("groups", limit=1, startKey=sealed))["list"][0]["group"] == "eve"
    assert (await eve.do("groups", limit=1))["startKey"] == {"group": "ada"}  # nothing to hide: as it always was
