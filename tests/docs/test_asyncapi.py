"""The AsyncAPI document: current, valid in the eyes of AsyncAPI's own parser, and true of a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from hubbub.server import Server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGET = ROOT / "docs/reference/asyncapi.yaml"
DOCUMENT = yaml.safe_load(TARGET.read_text())
OPERATIONS = DOCUMENT["operations"]


def validate(frame: Any, name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(frame)


def test_it_is_current() -> None:
    code = "import asyncapi; print(asyncapi.as_text(), end='')"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tools", capture_output=True, check=True)
    assert made.stdout.decode() == TARGET.read_text(), "make asyncapi"


@pytest.mark.usefixtures("packages")
def test_the_parser_of_asyncapi_accepts_it() -> None:
    judged = subprocess.run(["node", "asyncapi.mjs", TARGET], cwd=HERE, capture_output=True, check=True)
    verdict = json.loads(judged.stdout)
    assert verdict["diagnostics"] == []
    assert verdict["operations"] == list(OPERATIONS)


@pytest.mark.parametrize("file", ["v1_commands.json", "v1_events.json"])
def test_every_frame_of_the_vectors_is_described(file: str) -> None:
    seen = set()
    for vector in json.loads((ROOT / "tests/vectors" / file).read_text()):
        frame = vector.get("frame")
        operation = isinstance(frame, dict) and (frame.get("do") or f"on_{frame.get('type')}")
        if operation in OPERATIONS:  # the vectors also have what clients must ignore
            name = OPERATIONS[operation]["messages"][0]["$ref"].rpartition("/")[2]
            validate(frame, name)
            seen.add(operation)
    assert len(seen) >= 3


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("Join", {"do": "join"}),
        ("Post", {"do": "post", "to": 1, "message": 1}),
        ("Message", {"type": "message", "message": 1, "sender": "a", "sender_cid": None, "seq": 1, "code": None}),
        ("Failed", {"id": 1, "error": {"code": "NO_SUCH_CODE", "message": ""}}),
    ],
)
def test_what_is_wrong_is_not(name: str, frame: Any) -> None:
    with pytest.raises(Exception, match=r"required|valid|one of"):
        validate(frame, name)


async def test_what_a_server_sends_is_as_described(server: Server, peers: Callable[..., Awaitable[Any]]) -> None:
    ada, bob = await peers(server, guest="ada"), await peers(server, guest="bob", group="g")
    validate({"id": 1, "ok": ada.welcome}, "ConnectOk")
    said: list[tuple[str, str, dict[str, Any]]] = [
        ("join", "JoinOk", {"group": "g"}),
        ("post", "PostOk", {"to": {"group": "g"}, "message": {"msg": "hi"}}),
        ("post", "PostOk", {"to": {"user_id": "bob"}, "message": None}),
        ("groups", "GroupsOk", {"limit": 1}),
        ("users", "UsersOk", {"limit": 1}),
        ("leave", "LeaveOk", {}),
    ]
    for command, name, fields in said:
        validate({"id": 1, "ok": await ada.do(command, **fields)}, name)
    validate({"id": 1, "error": await ada.fail("post", to={"group": "g"}, message=1)}, "Failed")
    for name in ("Notice", "Message", "Private", "Notice"):
        validate(await bob.event(), name)
