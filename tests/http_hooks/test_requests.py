"""What an app is asked and told, as JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from hubbub.auth.identity import Identity
from hubbub.hooks import AppSide
from hubbub.http_hooks import requests


class Client:
    """A session, as far as the app is asked about it."""

    user_id, connection_id, group = "ada", "c1", "team-1"

    def __init__(self, data: Any = None) -> None:
        self.identity: Identity | None = Identity("ada", name="Ada")
        self.app: AppSide | None = AppSide(None)
        self.app.data = data


DATA = msgspec.Raw(b'{"team":"red"}')
MEMBER = {"user_id": "ada", "connection_id": "c1", "name": "Ada", "group": "team-1", "data": {"team": "red"}}


def scope(*headers: tuple[bytes, bytes], client: object = ("203.0.113.7", 5000)) -> dict[str, Any]:
    return {"headers": list(headers), "client": client, "path": "/v1/connect", "query_string": b"a=1"}


def test_each_event() -> None:
    client, message = Client(DATA), msgspec.Raw(b'{"text": "hi"}')
    bodies = [
        requests.join(client, "team-1", 1.0005),
        requests.post(client, "team-1", message, "k", 1.0005, keep=True),
        requests.private(client, "bob", message, None, 1.0005, keep=False),
        requests.leave(requests.member(client, "team-1"), "team-1", "switched", 1.0005),
        requests.disconnect(client, 1.0005),
    ]
    found = [json.loads(body) for body in bodies]
    assert [each["type"] for each in found] == ["join", "post", "private", "leave", "disconnect"]
    assert {each["timestamp"] for each in found} == {"1970-01-01T00:00:01.000Z"}
    assert [each["data"] for each in found] == [
        {"member": MEMBER},
        {"member": MEMBER, "group": "team-1", "key": "k", "keep": True, "message": {"text": "hi"}},
        {"member": MEMBER, "to": "bob", "key": None, "keep": False, "message": {"text": "hi"}},
        {"member": MEMBER, "group": "team-1", "why": "switched"},
        {"member": MEMBER},
    ]
    assert json.loads(requests.disconnect(Client(), 0))["data"]["member"]["data"] is None


def test_a_handshake() -> None:
    headers = [(b"cookie", b"a=1"), (b"Cookie", b"b=2"), (b"user-agent", b"x"), (b"origin", b"https://a.example")]
    seen = requests.visitor(scope(*headers), ("accept-language",))
    assert seen == requests.Visitor({"cookie": "a=1; b=2"}, "https://a.example", "203.0.113.7", "/v1/connect", "a=1")
    seen = requests.visitor(scope(*headers, client=None), ("user-agent",))
    assert (seen.headers["user-agent"], seen.address) == ("x", None)
    body = json.loads(requests.connect(Client(), seen, 0))
    assert body["data"]["connection_id"] == "c1"
    assert body["data"]["headers"] == {"cookie": "a=1; b=2", "user-agent": "x"}


def test_a_header_with_control_characters_is_not_forwarded() -> None:
    for value in (b"a\rb", b"a\nwebhook-id: b", b"a\0b", b"a\x7f"):
        assert requests.visitor(scope((b"cookie", value)), ()).headers == {}
    assert requests.visitor(scope((b"cookie", "ä\t".encode())), ()).headers == {"cookie": "Ã¤\t"}


def test_half_of_a_surrogate_pair() -> None:
    client = Client(DATA)
    client.user_id = "a\ud800"
    body = json.loads(requests.post(client, "g", msgspec.Raw(b'"\\ud800"'), None, 0, keep=True))
    assert body["data"]["member"]["user_id"] == "a\ud800"
    assert body["data"]["message"] == "\ud800"
