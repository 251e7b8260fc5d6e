"""`SyncTestHub`: tests without async, alone and beside Starlette's ``TestClient``."""

from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from hubbub.errors import HubError
from hubbub.hub.hub import Hub
from hubbub.hub.types import Post, User
from hubbub.testing import SyncTestHub


def test_every_call(hub: SyncTestHub) -> None:
    alice, bob = hub.user("alice", join="g"), hub.guest("bob")
    assert (alice.user_id, bob.user_id, repr(alice)) == ("alice", "guest:bob", "<SyncTestUser alice>")
    assert bob.join("g").position is not None
    assert alice.next_notice().sender_cid == bob.connection_id
    assert alice.post("hello").recipients == 2
    assert (alice.next().message, bob.next().message) == ("hello", "hello")
    alice.post("psst", {"user_id": "guest:bob"})
    assert bob.next_event().type == "private"
    assert [row.group for row in alice.groups().list] == ["g"]
    assert len(alice.users().list) == 2
    bob.leave()
    assert (alice.group, bob.group, bob.unread) == ("g", None, ())
    with hub.refused("FORBIDDEN"):
        alice.renew(hub.token("bob"))
    bob.close()
    hub.guest("bob").drop()
    with hub.refused("UNAUTHORIZED"):
        hub.connect(token="no token")
    began = hub.time()
    hub.sleep(3600)
    assert hub.time() == began + 3600
    assert (alice.closed, alice.wait_closed()) == (4002, 4002)


def test_time_stands_still_between_calls(hub: SyncTestHub) -> None:
    began = hub.time()
    time.sleep(0.01)
    assert hub.time() == began


def test_two_hubs_share_the_clock(hub: SyncTestHub) -> None:
    with SyncTestHub() as other:
        hub.sleep(60)
        assert hub.time() == other.time()


def order_app() -> tuple[Hub, Starlette]:
    hub = Hub(secret="s" * 32)

    @hub.on_connect
    async def who(conn: HTTPConnection) -> User | None:
        name = conn.cookies.get("user")
        return None if name is None else User(name)

    @hub.on_post
    async def add(post: Post[Any]) -> Any:
        return {"from": post.member.user_id, "text": post.message}

    async def order(request: Request) -> Response:
        sent = await hub.post("kitchen", {"order": request.path_params["number"]})
        return JSONResponse({"recipients": sent.recipients})

    def blocking(request: Request) -> Response:  # in a thread
        return JSONResponse({})

    routes = [Route("/orders/{number:int}", order, methods=["POST"]), Route("/blocking", blocking), Mount("/live", hub)]
    return hub, Starlette(routes=routes, lifespan=hub.lifespan)


def test_beside_the_test_client() -> None:
    realtime, app = order_app()
    for _ in range(2):  # as two tests of one app
        with SyncTestHub(realtime) as hub, TestClient(app) as client:
            cook = hub.user("cook", join="kitchen", ttl=60)
            assert client.post("/orders/7").json() == {"recipients": 1}
            assert cook.next().message == {"order": 7}
            client.get("/blocking")
            client.cookies["user"] = "waiter"
            with client.websocket_connect("/live/v1/connect") as waiter:
                for command in ({"do": "connect"}, {"do": "join", "group": "kitchen"}):
                    waiter.send_json({"id": 1, **command})
                    assert "ok" in waiter.receive_json()
                cook.post("done")
                assert waiter.receive_json()["message"] == {"from": "cook", "text": "done"}
                hub.sleep(60)
                assert cook.closed == 4002
                assert waiter.receive_json()["code"] == "USER_DISCONNECTED"
            late = hub.user("late", join="kitchen")
        assert late.closed == 1001


def test_the_test_client_must_come_second() -> None:
    realtime, app = order_app()
    with TestClient(app), pytest.raises(HubError, match="before the app starts"), SyncTestHub(realtime):
        pass


def test_a_hub_that_was_used_before_its_app_started() -> None:
    realtime, app = order_app()
    with SyncTestHub(realtime) as hub:
        hub.user("cook")
        with pytest.raises(HubError, match="another event loop"), TestClient(app):
            pass


def test_code_of_the_app_in_the_loop_of_the_hub() -> None:
    realtime, app = order_app()
    with SyncTestHub(realtime, app=app, at="/live") as hub:
        ada = hub.connect(cookies={"user": "ada"}, join="kitchen")
        assert hub.run(realtime.post("kitchen", 1)).recipients == 1
        assert ada.next().message == 1


async def test_in_an_event_loop() -> None:
    with pytest.raises(HubError, match="use TestHub"):
        SyncTestHub().__enter__()
