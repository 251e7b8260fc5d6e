"""When a hub runs, and what is said to programs that use it at the wrong time or in the wrong place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hubbub import Hub, HubError
from hubbub.errors import SettingsError
from support.clients import SECRET
from support.store import free_port


async def test_the_first_use_starts_it_once() -> None:
    hub = Hub(secret=SECRET)
    one, two = await asyncio.gather(hub.post("g", 1), hub.get())
    assert (one.recipients, two) == (0, hub)
    async with hub.lifespan(None):  # runs already, and is stopped here
        node = hub._lifecycle.running()
    assert node.draining
    with pytest.raises(HubError, match="was stopped"):
        await hub.post("g", 1)


async def test_the_first_use_warns_of_several_processes_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/hypercorn", "main:app", "--workers", "2"])
    hub = Hub(secret=SECRET)
    await hub.post("g", 1)
    await hub.post("g", 2)
    assert caplog.text.count("several worker processes") == 1
    async with hub.lifespan(None):
        pass


async def test_it_can_be_started_again_as_tests_of_an_app_do() -> None:
    hub = Hub(secret=SECRET)
    nodes = set()
    for _ in range(2):
        async with hub.lifespan(None):
            nodes.add(hub._lifecycle.running().node_id)
    assert len(nodes) == 2


async def test_it_cannot_be_used_outside_of_its_loop() -> None:
    hub = Hub(secret=SECRET)
    async with hub.lifespan(None):

        def use() -> None:
            asyncio.run(hub.post("g", 1))

        with pytest.raises(HubError, match="another event loop"):
            await asyncio.to_thread(use)


def test_a_loop_that_is_closed() -> None:
    hub = Hub(secret=SECRET)

    async def use() -> None:
        await hub.get()

    asyncio.run(use())
    with pytest.raises(HubError, match="with TestClient"):
        asyncio.run(use())


def test_outside_of_any_loop() -> None:
    with pytest.raises(HubError, match="inside an event loop"):
        Hub(secret=SECRET).get().send(None)


async def test_before_its_start() -> None:
    with pytest.raises(HubError, match="has not started"):
        Hub(secret=SECRET)._lifecycle.running()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "cannot tell who connects"),
        ({"guests": False}, "guests=True"),
        ({"backend": "valkey://127.0.0.1:{port}"}, ""),
    ],
)
async def test_a_hub_that_cannot_start_says_why_and_can_try_again(settings: dict[str, Any], text: str) -> None:
    port = free_port()
    settings = {name: value.format(port=port) if isinstance(value, str) else value for name, value in settings.items()}
    hub = Hub(**settings, **({} if text else {"secret": SECRET}))
    for _ in range(2):
        with pytest.raises(SettingsError, match=text or "cannot use the store"):
            await hub.get()


async def test_two_hubs_have_nothing_in_common() -> None:
    one, two = Hub(secret=SECRET), Hub(guests=True)
    async with one.lifespan(None), two.lifespan(None), two.listen("g") as messages:
        assert (await one.post("g", 1)).recipients == 0
        await two.post("g", 2)
        assert (await anext(messages)).message == 2
