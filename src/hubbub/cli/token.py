"""``hubbub token``: make a token that says who somebody is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hubbub.auth import make_token
from hubbub.claims import is_unicode
from hubbub.cli.duration import Duration
from hubbub.errors import SettingsError


def token(
    user: Annotated[str, Parameter(show_default=False)],
    /,
    *,
    ttl: Annotated[Duration, Parameter(show_default=lambda _: "1h")] = 3600.0,
    groups: Annotated[list[str] | None, Parameter(metavar="GLOB")] = None,
    server: Annotated[bool, Parameter(negative=())] = False,
    secret: Annotated[str | None, Parameter(env_var="HUBBUB_SECRET")] = None,
    issuer: Annotated[str | None, Parameter(env_var="HUBBUB_ISSUER")] = None,
    audience: Annotated[str | None, Parameter(env_var="HUBBUB_AUDIENCE")] = None,
    config: Annotated[Path | None, Parameter(env_var="HUBBUB_CONFIG")] = None,
) -> None:
    """Print a token for a user.

    The token goes to stdout with nothing around it. It is signed with the
    server's secret, so make it where the secret is:

        export HUBBUB_SECRET=$(openssl rand -hex 32)
        hubbub token alice
        hubbub token alice --ttl 7d
        hubbub token alice --groups "team-*" --groups lobby
        hubbub join HelloWorld --token "$(hubbub token alice)"
        hubbub token backend --server --ttl 15m

    Args:
        user: The user's id, 1 to 256 characters.
        ttl: How long the token is good for: 90s, 15m, 1h, 7d.
        groups: Pattern of the names of groups that the user may join; may be given several times. Without it: all.
        server: A token for your own server program: may post to any group or user and disconnect people over HTTP.
        secret: The server's secret. Others on this machine may see flags: prefer the environment or the file.
        issuer: "iss", if the server asks for one.
        audience: "aud", if the server asks for one.
        config: Settings file to read secret, issuer and audience from. Without it: hubbub.toml here, if there is one.
    """
    if not user or not is_unicode(user):
        raise SettingsError("a token needs a user id: some text, in UTF-8")
    if secret is None:
        raise SettingsError(
            'a token needs the server\'s secret: set HUBBUB_SECRET, --secret or "secret" in hubbub.toml '
            "(make one with: openssl rand -hex 32)"
        )
    print(make_token(user, secret, ttl=ttl, groups=groups, server=server, issuer=issuer, audience=audience))
