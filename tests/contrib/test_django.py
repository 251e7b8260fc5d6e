"""A hub in a Django project, in a process of its own: Django has one configuration for each process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.server_process import environment

PROJECT = """
import asyncio, django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"], ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
)
django.setup()
from django.contrib.auth import get_user_model, login
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path
from starlette.testclient import TestClient
from hubbub import Deny, Hub, User
from hubbub.contrib.django import session_user

def log_in(request):
    login(request, get_user_model().objects.get(username="ada"), backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("hello")

urlpatterns = [path("login", log_in)]
call_command("migrate", verbosity=0)
get_user_model().objects.create_user("ada")
hub = Hub()

@hub.on_connect
async def who(conn):
    user = await session_user(conn)
    if user is None:
        raise Deny("Log in first.")
    return User(user.id, name=user.username)

def connect(client):
    with client.websocket_connect("/realtime/v1/connect") as socket:
        socket.send_json({"id": 1, "do": "connect"})
        return socket.receive_json()

with TestClient(hub.wrap(get_asgi_application(), at="/realtime")) as client:
    assert connect(client)["error"]["message"] == "Log in first."
    answer = client.get("/login")
    assert answer.text == "hello", answer.text
    assert connect(client)["ok"]["user_id"] == "1"
    client.cookies.set("sessionid", "nonsense" * 4)
    get_user_model().objects.update(is_active=False)
    assert "error" in connect(client)
    assert client.get("/realtime/readyz").json()["ready"]
print("all is well")
"""


def test_the_user_of_the_session(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    ran = subprocess.run(
        [sys.executable, "project.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout == "all is well\n", ran.stderr
