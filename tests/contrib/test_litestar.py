"""A hub in a Litestar app."""

import pytest
from litestar import Litestar, get
from litestar.di import NamedDependency
from litestar.testing import TestClient

from hubbub import Hub
from hubbub.contrib.litestar import HubPlugin
from hubbub.errors import SettingsError
from support.clients import SECRET, server_bearer, token


@get("/post")
async def post(hub: NamedDependency[Hub]) -> int:
    return (await hub.post("g/1", "hello")).recipients


def test_the_plugin_mounts_starts_and_injects_the_hub() -> None:
    hub = Hub(secret=SECRET)
    with TestClient(Litestar([post], plugins=[HubPlugin(hub, path="/realtime")])) as client:
        with client.websocket_connect("/realtime/v1/connect") as socket:
            for command in ({"do": "connect", "token": token("ada")}, {"do": "join", "group": "g/1"}):
                socket.send_json({"id": 1, **command})
                assert "ok" in socket.receive_json()
            assert client.get("/post").json() == 1
            assert socket.receive_json()["message"] == "hello"
            users = client.get("/realtime/v1/groups/g%2F1/users", headers=server_bearer()).json()["list"]
            assert [user["user_id"] for user in users] == ["ada"]
        assert client.get("/realtime/openapi.json").json()["servers"] == [{"url": "/realtime"}]
        assert client.get("/realtime/readyz").json()["ready"]
    assert hub._lifecycle.state.value == "stopped"


@pytest.mark.parametrize("path", ["", "/", "realtime"])
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(SettingsError, match="path must be"):
        HubPlugin(Hub(secret=SECRET), path=path)
