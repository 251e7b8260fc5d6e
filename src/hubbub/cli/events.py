"""``hubbub events``: follow who comes and who leaves, as lines of JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import Annotated, Any, Literal
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request

from cyclopts import Parameter

from hubbub.cli.access import Access
from hubbub.cli.http_post import opener, refusal_of
from hubbub.cli.terminal.json_lines import json_line
from hubbub.client.reconnect_policy import http_url
from hubbub.errors import CommandError, ErrorCode, SettingsError
from hubbub.feed import ALIVE

SILENCE = 3 * ALIVE
"""Seconds without a byte after which the connection counts as lost; the server sends something every `ALIVE`."""

RETRY_DELAYS = (0.5, 1.0, 2.0, 5.0)
"""Seconds before each attempt to read on; the last value is used for all further attempts."""


def events(
    *,
    since: str | None = None,
    what: Literal["users", "groups", "users,groups"] = "users,groups",
    group: Annotated[str | None, Parameter(metavar="PATTERN", allow_leading_hyphen=True)] = None,
    access: Access | None = None,
) -> None:
    """Follow who comes and who leaves.

    Prints a line of JSON for each event, until Ctrl-C. Needs a server token
    ("hubbub token NAME --server"). From now on; everything that is there, and
    then what happens; what has happened since an event; only some groups:

        hubbub events
        hubbub events --since start
        hubbub events --since CURSOR
        hubbub events --group "team-*" --what users

    When the connection is lost, it goes on behind the last event.

    Args:
        since: The "cursor" of an event, or "start".
        what: "users": who is online, and who is in which group. "groups": which groups begin and end.
        group: Only events of groups whose name matches, such as "team-*".
        access: The server and your identity.
    """
    access = access or Access()
    token = access.server_token()
    if token is None:
        raise SettingsError('the feed needs a server token: make one with "hubbub token NAME --server"')
    query: dict[str, str] = {"what": what} if group is None else {"what": what, "group": group}
    at, failures, reached = since, 0, False
    while True:
        try:
            for event in read(access.address, token, query if at is None else {**query, "since": at}):
                at, failures, reached = event.get("cursor", at), 0, True
                if event["type"] != "position":
                    print(json_line(event), flush=True)
        except CommandError as error:
            if error.code != ErrorCode.UNAVAILABLE or not reached:
                raise
        time.sleep(RETRY_DELAYS[min(failures, len(RETRY_DELAYS) - 1)])
        failures += 1


def read(url: str, token: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the events of one answer, until it ends.

    Raises:
        CommandError: The error that the server answered; ``UNAVAILABLE`` if it cannot be reached, or was lost.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/x-ndjson"}
    request = Request(f"{http_url(url)}/v1/events?{urlencode(query)}", headers=headers)  # noqa: S310  (as http_post)
    try:
        with opener(url).open(request, timeout=SILENCE) as answer:
            for line in answer:
                if not line.endswith(b"\n"):
                    return  # cut off
                yield json.loads(line)
    except HTTPError as error:
        raise refusal_of(error) from None
    except (OSError, HTTPException) as error:
        why = getattr(error, "reason", error)
        raise CommandError(ErrorCode.UNAVAILABLE, f"Cannot connect to {http_url(url)}: {why}.") from None
    except ValueError:
        text = f"{http_url(url)} does not answer like a Hubbub server; check --url (HUBBUB_URL)."
        raise CommandError(ErrorCode.INTERNAL, text) from None
