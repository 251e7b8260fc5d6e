"""Hubbub inside a Django project: ``application = hub.wrap(get_asgi_application(), at="/realtime")``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest
from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


async def session_user(conn: HTTPConnection) -> AbstractBaseUser | None:
    """Return the user whose session cookie the browser has sent with the handshake; None if nobody is logged in.

    The session is only read. It is loaded in Django's thread for database work, with the project's session engine and
    authentication backends.

    Args:
        conn: The handshake, as ``on_connect`` gets it.
    """
    key = conn.cookies.get(settings.SESSION_COOKIE_NAME)
    return None if not key else await sync_to_async(_load)(key)


def _load(key: str) -> Any:
    close_old_connections()
    try:
        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        user = get_user(request)
        return user if user.is_authenticated and user.is_active else None
    finally:
        close_old_connections()
