"""Publishers in programs of other people's making: Flask and Django under gunicorn, a Celery worker; all fork."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from hubbub.server import Server
from matrix.conftest import run
from support.clients import SECRET, Peer, token
from support.store import free_port
from support.waiting import PATIENCE

PUBLISHER = """
    import os, hubbub

    def token():
        return hubbub.make_token("app", os.environ["SECRET"], server=True)

    publisher = hubbub.Publisher(os.environ["HUBBUB_URL"], token=token)
    publisher.groups()  # before the fork, so that there is a connection which the children must not use
"""

FLASK = """
    from flask import Flask, request
    from pub import hubbub, publisher

    application = Flask(__name__)

    @application.post("/orders/<int:number>")
    def order(number):
        return {"recipients": publisher.post("kitchen", {"order": number}, key=f"order-{number}").recipients}

    @application.errorhandler(hubbub.CommandError)
    def refused(error):
        return {"error": error.message}, 503 if error.code == "UNAVAILABLE" else 400
"""

DJANGO = """
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.db import connection, models, transaction
    from django.http import JsonResponse
    from django.urls import path
    from pub import publisher

    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "orders", "OPTIONS": {"timeout": 20}}},
    )
    application = get_wsgi_application()

    class Order(models.Model):
        number = models.IntegerField()

        class Meta:
            app_label = "shop"

    with connection.schema_editor() as editor:
        editor.create_model(Order)
    connection.close()

    def order(request, number):
        with transaction.atomic():
            made = Order.objects.create(number=number)
            message = {"order": made.number}
            transaction.on_commit(lambda: publisher.post("kitchen", message, key=f"{number}"), robust=True)
        return JsonResponse({"recipients": 1})

    urlpatterns = [path("orders/<int:number>", order)]
"""

CELERY = """
    import os
    from celery import Celery
    from pub import hubbub, publisher

    folder = os.path.dirname(os.path.abspath(__file__))
    app = Celery(broker="filesystem://")
    app.conf.broker_transport_options = {
        "data_folder_in": folder + "/queue", "data_folder_out": folder + "/queue",
        "control_folder": folder + "/control",
    }

    @app.task(bind=True, max_retries=20)
    def announce(self, number):
        try:
            publisher.post("kitchen", {"order": number}, key=f"order-{number}")
        except hubbub.CommandError as error:
            if error.code != "UNAVAILABLE":
                raise
            raise self.retry(exc=error, countdown=1)
"""

ORDERS = range(20)


@pytest.fixture(scope="session")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the frameworks and the released package."""
    folder = tmp_path_factory.mktemp("publishers") / "venv"
    run(sys.executable, "-m", "venv", folder)
    needed = ("flask==3.1.*", "django==5.2.*", "celery==5.*", "gunicorn")
    run(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel, *needed)
    return folder / "bin"


@pytest.fixture
async def kitchen(secured: Server, peers: Callable[..., Awaitable[Peer]]) -> Peer:
    """A member of the group that everything is posted to."""
    member = await peers(secured)
    await member.do("connect", token=token("cook"))
    await member.do("join", group="kitchen")
    return member


@asynccontextmanager
async def process(folder: Path, server: Server, *command: object, log: Path) -> AsyncIterator[None]:
    """Run a program in a folder, and stop it as an operator does."""
    environment = {**os.environ, "HUBBUB_URL": server.url, "SECRET": SECRET, "PYTHONPATH": str(folder)}
    with log.open("wb") as output:
        started = await asyncio.create_subprocess_exec(
            *map(str, command), cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        yield
        started.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await started.wait() == 0, log.read_text()  # noqa: ASYNC240  (a small file)
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def ordered(member: Peer) -> list[int]:
    """Return the orders that the member receives, until it has received all."""
    found: list[int] = []
    while len(found) < len(ORDERS):
        event = await member.event()
        assert event["sender"] == "app"
        found.append(event["message"]["order"])
    return found


@pytest.mark.parametrize("source", [FLASK, DJANGO], ids=["flask", "django"])
async def test_a_web_app_posts_from_all_of_its_processes(
    source: str, programs: Path, tmp_path: Path, secured: Server, kitchen: Peer
) -> None:
    for name, text in {"pub": PUBLISHER, "shop": source}.items():
        (tmp_path / f"{name}.py").write_text(dedent(text))
    address, log = f"127.0.0.1:{free_port()}", tmp_path / "log"
    gunicorn = (programs / "gunicorn", "shop", "-b", address, "-w", "2", "--threads", "4", "--preload")
    async with process(tmp_path, secured, *gunicorn, log=log), httpx.AsyncClient(timeout=PATIENCE) as client:
        async with asyncio.timeout(PATIENCE):
            while b"Booting worker" not in log.read_bytes():
                await asyncio.sleep(0.05)

        async def order(number: int) -> None:
            answer = await client.post(f"http://{address}/orders/{number}")
            assert (answer.status_code, answer.json()) == (200, {"recipients": 1}), log.read_text()

        await asyncio.gather(*map(order, ORDERS))
        assert sorted(await ordered(kitchen)) == list(ORDERS)


async def test_a_celery_worker_posts_each_task_once(
    programs: Path, tmp_path: Path, secured: Server, kitchen: Peer
) -> None:
    for name, text in {"pub": PUBLISHER, "shop": CELERY}.items():
        (tmp_path / f"{name}.py").write_text(dedent(text))
    for folder in ("queue", "control"):
        (tmp_path / folder).mkdir()
    send = "import shop; [shop.announce.delay(number) for number in [*range(20), *range(20)]]"
    python, path = programs / "python", str(tmp_path)
    await asyncio.to_thread(
        lambda: run(python, "-c", send, cwd=tmp_path, HUBBUB_URL=secured.url, SECRET=SECRET, PYTHONPATH=path)
    )
    flags = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING")
    worker = (programs / "celery", "-A", "shop", "worker", "-c", "2", *flags)
    async with process(tmp_path, secured, *worker, log=tmp_path / "log"):
        assert sorted(await ordered(kitchen)) == list(ORDERS)
