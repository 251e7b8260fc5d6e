"""``hubbub post``: send one message to a group or to a user."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from hubbub.cli.access import Access, connected, retry_rate_limited
from hubbub.cli.http_post import post_as_server
from hubbub.cli.process.loop import run
from hubbub.cli.terminal.json_lines import json_line
from hubbub.errors import SettingsError

Flag = Annotated[bool, Parameter(negative=())]


def post(
    to: Annotated[str, Parameter(show_default=False)],
    message: Annotated[str, Parameter(show_default=False, allow_leading_hyphen=True)],
    /,
    *,
    user: Flag = False,
    json: Flag = False,
    no_keep: Flag = False,
    access: Access | None = None,
) -> None:
    """Send a message to a group or to a user.

    Text is sent as {"msg": "the text"}, as the demo page and "hubbub join" do.
    With --json, MESSAGE is any JSON and is sent unchanged. "-" reads the
    message from standard input:

        hubbub post HelloWorld "Hello, everybody"
        hubbub post --user alice "Only for you"
        hubbub post HelloWorld --json '{"temperature": 21.5}'
        uptime | hubbub post HelloWorld -

    Only members can post to a group, so this joins the group, posts and leaves;
    the other members see that. With a server token ("hubbub token NAME
    --server") it posts without joining.

    Args:
        to: The group, or with --user the user.
        message: The message; - for standard input.
        user: TO is a user; every connection of this user receives the message.
        json: MESSAGE is JSON; the answer is printed as JSON, too.
        no_keep: Only those who are connected now receive the message; it is in no history.
        access: The server and your identity.
    """
    if not to:
        raise SettingsError("TO must be the name of a group or, with --user, a user id")
    access = access or Access()
    value = parse_message(sys.stdin.buffer.read() if message == "-" else message, as_json=json)
    token = access.server_token()
    if token is not None:
        recipients = post_as_server(access.address, token, to, value, to_user=user, keep=not no_keep)
    else:
        recipients = run(_post(access, to, value, to_user=user, keep=not no_keep))
    if json:
        print(json_line({"type": "success", "message": "Message sent.", "recipients": recipients}))
    else:
        print(
            f"Sent to {recipients} connection{'s' * (recipients != 1)}."
            if recipients
            else "Sent; no recipient is connected."
        )


def parse_message(given: str | bytes, *, as_json: bool) -> Any:
    """Return the message for text on the command line or bytes from standard input.

    Raises:
        SettingsError: It is not UTF-8 or, with `as_json`, not JSON.
    """
    try:
        text = given if isinstance(given, str) else given.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SettingsError("the message is not UTF-8") from None
    if not as_json:
        return {"msg": text}
    try:
        return json_module.loads(text)
    except ValueError as error:
        raise SettingsError(f"the message is not JSON: {error}") from None
    except RecursionError:
        raise SettingsError("the message has too many levels of nested arrays and objects") from None


async def _post(access: Access, to: str, message: Any, *, to_user: bool, keep: bool) -> int:
    """Post, and return to how many connections the message was delivered, without our own."""
    async with connected(access) as client:
        if to_user:
            posted = await retry_rate_limited(lambda: client.post_realtime(message, {"user_id": to}, keep=keep))
            return posted.recipients
        await client.join_realtime(to)
        sent = await client.post_realtime(message, {"group": to}, keep=keep)
        await client.join_realtime(None)
        return sent.recipients - 1
