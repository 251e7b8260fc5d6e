"""A mounted hub in Starlette's ``TestClient``, as people test their apps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from hubbub import Hub
from support.clients import server_bearer, token
from support.mounted_app import make_app

CONNECT = "/realtime/v1/connect"


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(make_app()) as running:
        yield running


def test_a_conversation(client: TestClient) -> None:
    client.post("/login", params={"name": "ada"})
    with client.websocket_connect(CONNECT) as ada, client.websocket_connect(CONNECT) as bob:
        ada.send_json({"id": 1, "do": "connect"})
        assert ada.receive_json()["ok"]["user_id"] == "ada"
        bob.send_json({"id": 1, "do": "connect", "token": token("bob")})
        assert bob.receive_json()["ok"]["user_id"] == "bob"
        for socket in (ada, bob):
            socket.send_json({"id": 2, "do": "join", "group": "team-a"})
            assert "ok" in socket.receive_json()
        assert ada.receive_json()["code"] == "USER_JOINED"
        bob.send_json({"id": 3, "do": "post", "to": "team-a", "message": "hello"})
        assert ada.receive_json()["message"] == "hello"
        sent = client.post(
            "/realtime/v1/groups/team-a/messages", headers=server_bearer(), json={"message": "over HTTP"}
        )
        assert sent.json()["recipients"] == 2
        assert ada.receive_json()["message"] == "over HTTP"
    metrics = client.get("/realtime/metrics").text
    assert 'tier="3"' in metrics
    assert "hubbub_connections 0.0" in metrics


def test_refusals(client: TestClient) -> None:
    with client.websocket_connect(CONNECT, headers={"origin": "https://evil.example"}) as page:
        with pytest.raises(WebSocketDisconnect) as closed:
            page.receive_json()
        assert closed.value.code == 4008
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/realtime/v9/connect"):
        pass
    assert denied.value.status_code == 404
    with client.websocket_connect(CONNECT) as socket:
        socket.send_json({"id": 1, "do": "connect"})
        assert socket.receive_json()["error"]["message"] == "Log in first."
        socket.send_bytes(b"binary")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1003


@pytest.mark.parametrize(
    ("host", "answered"),
    [("localhost", True), ("chat.example", True), ("page.example:8443", True), ("evil.example", False)],
)
def test_a_hub_with_guests_answers_its_own_hosts_only(host: str, answered: bool) -> None:
    hub = Hub(guests=True, public_url="https://chat.example", origins=("https://page.example:8443",))
    with TestClient(Starlette(lifespan=hub.lifespan, routes=[Mount("/realtime", hub)])) as client:
        assert client.get("/realtime/readyz", headers={"host": host}).status_code == (200 if answered else 403)
        if answered:
            with client.websocket_connect(CONNECT, headers={"host": host}) as socket:
                socket.send_json({"id": 1, "do": "connect", "guest": "ada"})
                assert "ok" in socket.receive_json()
        else:
            with pytest.raises(WebSocketDenialResponse), client.websocket_connect(CONNECT, headers={"host": host}):
                pass


def test_the_same_app_can_be_started_again() -> None:
    app = make_app()
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/realtime/readyz").status_code == 200
