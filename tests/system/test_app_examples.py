"""The apps in ``examples/`` that have a hub in them: each started with the command that it names itself, and used."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect
from websockets.asyncio.client import ClientConnection, connect

import hubbub
from hubbub.client import Message
from support.app_process import AppProcess, app_process
from support.browser import chromium, needs_chromium
from support.waiting import PATIENCE

EXAMPLES = Path(__file__).parents[2] / "examples"


@asynccontextmanager
async def example(name: str, folder: Path) -> AsyncIterator[AppProcess]:
    """Run an example as its own docstring says, in a folder of its own and on a free port."""
    for path in EXAMPLES.glob(f"{name}.*"):
        shutil.copy(path, folder)
    async with app_process(*command_of(EXAMPLES / f"{name}.py"), folder=folder) as running:
        yield running


def command_of(path: Path) -> list[str]:
    """Return the command that a file names in its docstring, with a free port."""
    command = re.search(r"^cd examples\S* && (.+)$", path.read_text(), re.MULTILINE)
    assert command is not None
    return [*command[1].split(), "--port", "{port}"]


class Person:
    """A user of an example, with a cookie jar, without a page."""

    def __init__(self, running: AppProcess, stack: AsyncExitStack) -> None:
        self._url = running.url
        self._stack = stack
        self.http = httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=PATIENCE)
        stack.push_async_callback(self.http.aclose)
        self.socket: ClientConnection

    async def connect(self) -> dict[str, Any]:
        """Connect, and return the reply."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        url = f"{self._url.replace('http', 'ws')}/realtime/v1/connect"
        opening = connect(url, additional_headers={"cookie": cookie}, proxy=None)
        self.socket = await self._stack.enter_async_context(opening)
        return await self.do("connect")

    async def do(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send a command, and return its reply; events before it are dropped."""
        await self.socket.send(json.dumps({"id": 1, "do": command, **fields}))
        while "id" not in (frame := await self.hears()):
            pass
        return frame

    async def hears(self, kind: str | None = None) -> dict[str, Any]:
        """Return the next frame, or the next of this type."""
        while True:
            frame: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
            if kind in (None, frame.get("type")):
                return frame


NewPerson = Callable[[AppProcess], Person]


@pytest.fixture
async def person() -> AsyncIterator[NewPerson]:
    """Return what makes a user of an example."""
    async with AsyncExitStack() as stack:
        yield lambda running: Person(running, stack)


async def log_in(page: Page, url: str, name: str, password: str) -> None:
    await page.goto(url)
    await page.get_by_placeholder("Name").fill(name)
    await page.get_by_placeholder("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


async def say(page: Page, text: str) -> None:
    await page.get_by_placeholder("Message").fill(text)
    await page.get_by_role("button", name="Send").click()


@needs_chromium
async def test_the_page_of_the_fastapi_chat(tmp_path: Path) -> None:
    async with example("fastapi_chat", tmp_path) as running, chromium() as browser:
        ada, bob, cyd = [await (await browser.new_context()).new_page() for _ in range(3)]
        await log_in(ada, running.url, "ada", "guess")
        await expect(ada.get_by_role("status")).to_have_text("Wrong name or password.")
        await log_in(ada, running.url, "ada", "lovelace")
        await expect(ada.get_by_role("status")).to_have_text("You are in the team red.")
        await say(ada, "First, <b>bold</b>")
        await expect(ada.get_by_role("log")).to_have_text("ada: First, <b>bold</b>")
        await log_in(bob, running.url, "bob", "builder")
        await expect(bob.get_by_role("log")).to_have_text("ada: First, <b>bold</b>")  # from SQLite
        await say(bob, "Second")
        await log_in(cyd, running.url, "cyd", "charisse")
        for page in (ada, bob, cyd):
            await expect(page.get_by_role("listitem")).to_have_text(["ada: First, <b>bold</b>", "bob: Second"])
        await say(cyd, "Third")
        await expect(cyd.get_by_role("status")).to_have_text("You may read here, but not write.")
        await ada.get_by_role("button", name="blue").click()
        await expect(ada.get_by_role("status")).to_have_text("You are in the team blue.")
        await expect(ada.get_by_role("listitem")).to_have_count(0)
        await expect(bob.get_by_role("listitem")).to_have_count(2)


async def test_the_rights_and_the_routes_of_the_fastapi_chat(tmp_path: Path, person: NewPerson) -> None:
    async with example("fastapi_chat", tmp_path) as running:
        ada, bob, nobody = [person(running) for _ in range(3)]
        assert (await nobody.connect())["error"] == {"code": "FORBIDDEN", "message": "Log in first."}
        for who, name, password in ((ada, "ada", "lovelace"), (bob, "bob", "builder")):
            assert (await who.http.post("/login", json={"name": name, "password": password})).status_code == 200
            assert (await who.connect())["ok"]["user_id"] == name
            assert "ok" in await who.do("join", group="team-red")
        refused = await bob.do("join", group="team-blue")
        assert refused["error"] == {"code": "FORBIDDEN", "message": "You are not in the team blue."}
        for _ in range(2):  # sent again with its key, it is stored once
            assert "ok" in await ada.do("post", to={"group": "team-red"}, message={"text": "one"}, key="k1")
        empty = await ada.do("post", to={"group": "team-red"}, message={"text": ""})
        assert empty["error"]["code"] == "INVALID_PARAMETER"
        assert "text" in empty["error"]["message"]
        sent = await ada.http.post("/teams/red/posts", json={"text": "two"})
        assert sent.json() == {"text": "two", "id": 2}
        heard = [await bob.hears("message") for _ in range(2)]
        assert [(each["sender"], each["message"]) for each in heard] == [
            ("ada", {"text": "one", "id": 1}),
            ("ada", {"text": "two", "id": 2}),
        ]
        rows = [{"id": 1, "sender": "ada", "text": "one"}, {"id": 2, "sender": "ada", "text": "two"}]
        assert (await bob.http.get("/teams/red/posts")).json() == rows
        assert (await bob.http.get("/teams/blue/posts")).status_code == 403
        assert (await nobody.http.post("/teams/red/posts", json={"text": "three"})).status_code == 403
        assert await running.stop() == 0
        assert "Traceback" not in running.log()
    with sqlite3.connect(tmp_path / "chat.db") as db:
        assert db.execute("SELECT text FROM post").fetchall() == [("one",), ("two",)]
    db.close()


async def test_the_starlette_scores(tmp_path: Path, person: NewPerson) -> None:
    async with example("starlette_scores", tmp_path) as running:
        fan, referee = person(running), person(running)
        assert (await fan.connect())["ok"]["user_id"].startswith("visitor-")
        refused = await fan.do("join", group="match-18")
        assert refused["error"] == {"code": "FORBIDDEN", "message": "There is no match 18."}
        assert "ok" in await fan.do("join", group="match-17")
        assert (await fan.do("post", to="match-17", message={"home": 9}))["error"]["code"] == "FORBIDDEN"
        goal = "/matches/17/goals/home"
        for wrong in ({}, {"authorization": "Referee rita:guess"}, {"authorization": "Referee zoe:whistle"}):
            assert (await referee.http.post(goal, headers=wrong)).status_code == 401
        counted = await referee.http.post(goal, headers={"authorization": "Referee rita:whistle"})
        assert counted.json() == {"score": {"home": 1, "away": 0}, "recipients": 1}
        assert (await fan.hears("message"))["message"] == {"home": 1, "away": 0}
        assert (await fan.http.get("/matches/17")).json() == {"home": 1, "away": 0}
        assert 'tier="2"' in (await fan.http.get("/realtime/metrics")).text


async def test_the_litestar_board(tmp_path: Path, person: NewPerson) -> None:
    async with example("litestar_board", tmp_path) as running:
        office = person(running)
        assert (await office.connect())["error"]["message"] == "Send your key as X-API-Key."
        unread = await office.http.post("/notices", json={"text": "lunch"})
        assert (unread.status_code, unread.json()["detail"].split()[0]) == (409, "Nothing")
        url = f"{running.url}/realtime"
        async with (
            hubbub.connect(url, headers={"x-api-key": "key-of-ada"}) as ada,
            hubbub.connect(url, headers={"x-api-key": "key-of-bob"}) as bob,
        ):
            await ada.join_realtime("board")
            await bob.join_realtime("board")
            assert (await office.http.get("/readers")).json() == ["ada", "bob"]
            with pytest.raises(hubbub.CommandError, match="Only ada may post urgent notices"):
                await bob.post_realtime({"text": "fire", "urgent": True}, "board")
            waiting = asyncio.create_task(office.http.get("/notices/next"))
            sent = await office.http.post("/notices", json={"text": "lunch", "urgent": False})
            assert sent.json() == {"recipients": 2}
            while not waiting.done():  # it may not have listened yet when the first of these is posted
                await ada.post_realtime({"text": " closed ", "urgent": True}, "board")
                await asyncio.wait({waiting}, timeout=0.05)
            assert (await waiting).json() in ({"text": "closed", "urgent": True}, {"text": "lunch", "urgent": False})
            messages = [event async for event in _messages(bob, 2)]
            assert messages == [
                ("office", {"text": "lunch", "urgent": False}),
                ("ada", {"text": "closed", "urgent": True}),
            ]


async def _messages(client: hubbub.Client, number: int) -> AsyncIterator[tuple[str, Any]]:
    async for event in client:
        if isinstance(event, Message):
            yield event.sender, event.message
            number -= 1
            if not number:
                return


SET_UP = """
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from django.contrib.auth.models import User
from orders.models import Dish
User.objects.create_user("zoe", password="noodles")
User.objects.create_user("cook", password="ladle", is_staff=True)
Dish.objects.create(name="soup", left=1)
"""


async def log_in_to_django(who: Person, name: str, password: str) -> None:
    await who.http.get("/login")
    token = who.http.cookies["csrftoken"]
    form = {"username": name, "password": password, "csrfmiddlewaretoken": token}
    assert (await who.http.post("/login", data=form)).headers["location"] == "/"
    who.http.headers["x-csrftoken"] = who.http.cookies["csrftoken"]


async def test_the_django_orders(tmp_path: Path, person: NewPerson) -> None:
    folder = tmp_path / "django_orders"
    shutil.copytree(EXAMPLES / "django_orders", folder)
    setup = f"import orders.asgi{SET_UP}"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", setup], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    command = command_of(folder / "orders/asgi.py")
    async with app_process(*command, folder=folder) as running:
        zoe, cook, nobody = [person(running) for _ in range(3)]
        assert (await nobody.connect())["error"] == {"code": "FORBIDDEN", "message": "Log in first."}
        await log_in_to_django(zoe, "zoe", "noodles")
        await log_in_to_django(cook, "cook", "ladle")
        assert (await zoe.connect())["ok"]["user_id"] == "1"
        assert (await zoe.do("join", group="kitchen"))["error"]["code"] == "FORBIDDEN"
        assert "ok" in await cook.connect()
        assert "ok" in await cook.do("join", group="kitchen")
        assert (await cook.do("post", to="kitchen", message="hello"))["error"]["code"] == "FORBIDDEN"
        assert (await zoe.http.post("/orders", data={"dish": "soup"})).json() == {"order": 1, "dish": "soup"}
        assert (await cook.hears("message"))["message"] == {"order": 1, "dish": "soup"}
        sold_out = await zoe.http.post("/orders", data={"dish": "soup"})  # rolled back, and not posted
        assert (sold_out.status_code, sold_out.json()) == (409, {"error": "There is no soup left."})
        assert (await zoe.http.post("/orders/1/ready")).status_code == 302
        assert (await cook.http.post("/orders/1/ready")).status_code == 200
        private = await zoe.hears("private")
        assert (private["message"], private["sender"]) == ({"order": 1, "state": "ready"}, "server")
        history = await cook.do("join", group="kitchen", history=10)
        assert history["ok"]["replayed"] == 1
        page = await cook.http.get("/")
        assert "<h1>cook</h1>" in page.text
        assert "joinRealtime" in page.text
        assert await running.stop() == 0
        assert "Traceback" not in running.log(), running.log()


@pytest.mark.parametrize(
    "pattern", ["fastapi_chat.py", "django_orders/*/*.py", "litestar_board.py", "starlette_scores.py"]
)
def test_examples_are_short(pattern: str) -> None:
    found = list(EXAMPLES.glob(pattern))
    assert found
    assert sum(len(path.read_text().splitlines()) for path in found) < 120
