"""``hubbub token``: make a token that identifies a user."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hubbub.auth.authenticator import make_token
from hubbub.auth.claims import is_unicode
from hubbub.auth.skapi_tokens import DAY, make_skapi_tokens
from hubbub.cli import sources
from hubbub.cli.duration import Duration
from hubbub.cli.exposed_secrets import warnings
from hubbub.cli.sources import unknown_variables
from hubbub.errors import SettingsError
from hubbub.secret import read_secret

HOUR = 3600.0
"""Seconds for which a token is valid by default."""


def token(
    user: Annotated[str, Parameter(show_default=False)],
    /,
    *,
    ttl: Annotated[Duration | None, Parameter(show_default=lambda _: "1h; 1d with --skapi")] = None,
    groups: Annotated[list[str] | None, Parameter(metavar="GLOB")] = None,
    post: Annotated[list[str] | None, Parameter(metavar="GLOB")] = None,
    no_private: Annotated[bool, Parameter(negative=())] = False,
    invisible: Annotated[bool, Parameter(negative=())] = False,
    server: Annotated[bool, Parameter(negative=())] = False,
    skapi: Annotated[str | None, Parameter(metavar="SERVICE")] = None,
    name: str | None = None,
    secret: Annotated[str | None, Parameter(env_var="HUBBUB_SECRET")] = None,
    secret_file: Annotated[str | None, Parameter(env_var="HUBBUB_SECRET_FILE")] = None,
    issuer: Annotated[str | None, Parameter(env_var="HUBBUB_ISSUER")] = None,
    audience: Annotated[str | None, Parameter(env_var="HUBBUB_AUDIENCE")] = None,
    config: Annotated[Path | None, Parameter(env_var="HUBBUB_CONFIG")] = None,
) -> None:
    """Print a token for a user.

    Prints nothing but the token. It is signed with the server's secret, so run
    this where the secret is:

        (umask 077; openssl rand -hex 32 > hubbub.secret)
        export HUBBUB_SECRET_FILE=hubbub.secret
        hubbub token alice
        hubbub token alice --ttl 7d
        hubbub token alice --groups "team-*" --groups lobby
        hubbub join HelloWorld --token "$(hubbub token alice)"
        hubbub token backend --server --ttl 15m
        hubbub token 6f1ad5b4-1b5c-4c7a-9a35-0d6e3c0f9a01 --skapi SERVICE --name Alice

    Args:
        user: The user's id, 1 to 256 characters.
        ttl: How long the token is valid: 90s, 15m, 1h, 7d.
        groups: Pattern for the names of groups that the user may join. Can be repeated. Default: all groups.
        post: Pattern for the names of groups that the user may post to. Can be repeated. Default: all it may join.
        no_private: The user may post to the joined group only, and cannot send private messages.
        invisible: The user may join groups without being listed, counted or announced there.
        server: A token for your own server program, which may post to any group or user and disconnect users over HTTP.
        skapi: Print the three tokens for skapi.loginWithToken() as JSON; SERVICE as in "new Skapi(...)", USER a UUID.
        name: The user's name as others see it in pages that use skapi-js.
        secret: The server's secret. Other users of this machine can see flags: use a file or the environment.
        secret_file: File that contains the server's secret.
        issuer: "iss" of the token, if the server requires one.
        audience: "aud" of the token, if the server requires one.
        config: Settings file with secret, issuer and audience. Default: hubbub.toml in this directory, if it exists.
    """
    if not user or not is_unicode(user):
        raise SettingsError("USER must be a user id: at least one character, in UTF-8")
    for warning in (*warnings(sources.origins), *unknown_variables(os.environ)):
        print(f"hubbub: {warning}", file=sys.stderr)
    if secret_file is not None:
        secret = read_secret(secret_file, secret)
    if secret is None:
        raise SettingsError(
            "signing a token needs the server's secret: set --secret-file (HUBBUB_SECRET_FILE) or HUBBUB_SECRET; "
            "make a secret with: openssl rand -hex 32"
        )
    if skapi is None:
        extra = {} if name is None else {"name": name}
        ttl = HOUR if ttl is None else ttl
        print(
            make_token(
                user,
                secret,
                ttl=ttl,
                groups=groups,
                server=server,
                private=not no_private,
                post=post,
                invisible=invisible,
                issuer=issuer,
                audience=audience,
                extra=extra,
            )
        )
        return
    if server:
        raise SettingsError(
            "--skapi and --server exclude each other: --skapi makes tokens for users, --server one for a program"
        )
    if invisible:
        raise SettingsError("--skapi and --invisible exclude each other: skapi-js cannot join invisibly")
    ttl = DAY if ttl is None else ttl
    tokens = make_skapi_tokens(
        user,
        secret,
        skapi,
        name=name,
        ttl=ttl,
        groups=groups,
        private=not no_private,
        post=post,
        issuer=issuer,
        audience=audience,
    )
    print(json.dumps(tokens, indent=2))
