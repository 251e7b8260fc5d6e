"""The settings of a mounted hub: those of a server, but for what the server that runs the app decides."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from hubbub.errors import SettingsError
from hubbub.settings import RENAMED, Settings, renamed

_OF_THE_SERVER = {
    "host": "the server that runs your app listens, not the hub: set it there (uvicorn --host, hubbub serve --host)",
    "port": "the server that runs your app listens, not the hub: set it there (uvicorn --port, hubbub serve --port)",
    **dict.fromkeys(
        ["hooks", "hooks_secret", "hooks_events", "hooks_headers", "hooks_away"],
        "the app itself decides, in functions: @hub.on_connect, @hub.on_join, @hub.on_post",
    ),
    "workers": "the server that runs your app starts the processes: set it there (uvicorn --workers, gunicorn -w)",
}

NAMES = frozenset(field.name for field in fields(Settings)) - _OF_THE_SERVER.keys()
"""The settings that a hub has."""


def hub_settings(given: dict[str, Any]) -> Settings:
    """Return the settings of a hub.

    The demo page is off unless it is asked for, and so are guests: a hub cannot know who can reach its app.

    Args:
        given: The keyword arguments of ``Hub``.

    Raises:
        SettingsError: A name is unknown, belongs to the server that runs the app, or a value is not allowed.
    """
    for name in given:
        if name in _OF_THE_SERVER:
            raise SettingsError(f"Hub has no setting {name}: {_OF_THE_SERVER[name]}")
        if name in RENAMED:
            raise SettingsError(renamed(name))
        if name not in NAMES:
            near = get_close_matches(name, NAMES, n=1)
            raise SettingsError(
                f"Hub has no setting {name!r}" + (f"; did you mean {near[0]}?" if near else ": see docs/settings.md")
            )
    if given.get("demo"):
        raise SettingsError(
            "Hub has no demo page: its address must be the root of a server. To try it, run hubbub serve"
        )
    chosen = {"demo": False, "guests": False} | given
    if isinstance(chosen.get("origins"), str):
        raise SettingsError(f"origins must be a tuple of origins: write origins=({chosen['origins']!r},)")
    if "origins" in chosen:
        chosen["origins"] = tuple(chosen["origins"])
    return Settings(**chosen)


def public_hosts(settings: Settings) -> frozenset[str]:
    """Return the hosts at which clients reach a hub, as far as its settings name them: those of its pages.

    A hub with guests answers them besides this machine. A page that points its own domain at this machine (DNS
    rebinding) still sends another ``Host``.
    """
    addresses = [*settings.origins, *filter(None, [settings.public_url])]
    return frozenset(address.partition("://")[2] for address in addresses if address != "*")
