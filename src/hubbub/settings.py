"""Every option, once. Flags, ``HUBBUB_…`` environment variables and the TOML file are all made from this one class.

The command line reads the fields, their types, defaults and docstrings from here; a new option is one field here and
nothing elsewhere. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass, fields
from typing import Literal

from hubbub.errors import SettingsError
from hubbub.http_hooks.checks import HOOK_EVENTS, HookEvent, check_hooks
from hubbub.secret import read_secret, secret_bytes
from hubbub.web_addresses import check_jwks_url, check_origin, check_public_url

__all__ = ["RENAMED", "Settings", "read_secret", "secret_bytes"]

RENAMED = {"absence": "restart_grace", "history_gone": "history_idle_groups"}
"""Settings of version 0.1 by their old names, with the new ones. The old names are refused, not silently ignored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a server is started with. Immutable; checked as a whole when made.

    Raises:
        SettingsError: A value is out of its range, a setting has a new name, or the combination would be unsafe. The
            text says what to set.
    """

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback needs a secret or a JWKS URL."""
    port: int = 8000
    """Port to listen on; 0 lets the system choose one."""
    backend: str = "memory"
    """Store of groups: "memory" (this server), "valkey://host:6379", "rediss://…" (TLS), "valkey+unix:///path"."""
    workers: int | Literal["auto"] = 1
    """Processes of "hubbub serve"; "auto": one per core. With the backend "memory" they share a private store."""
    secret: str | None = None
    """Shared secret that signs the tokens (HS256), at least 32 bytes."""
    secret_file: str | None = None
    """File that contains the secret, such as "/run/secrets/hubbub". Line breaks at its end are ignored."""
    jwks_url: str | None = None
    """URL of a JSON Web Key Set whose keys sign the tokens (RS256, ES256, EdDSA)."""
    issuer: str | None = None
    """Required "iss" of every token."""
    audience: str | None = None
    """Required "aud" of every token."""
    leeway: float = 10.0
    """Seconds by which clocks may differ when a token's times are checked."""
    guests: bool | None = None
    """Accept guests by name, on loopback only; beside tokens, as "guest:NAME". Default: if nothing else is set."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may connect besides the server's own, such as "https://example.com"; "*" for all."""
    public_url: str | None = None
    """Address at which clients reach the server, such as "https://example.com". Default: the host of each request."""
    forwarded: bool = False
    """Trust "X-Forwarded-Proto" and "X-Forwarded-Host". Only behind a proxy that sets both; otherwise clients could."""
    demo: bool = True
    """Serve the demo page at "/"."""
    access_log: bool = False
    """Log every HTTP request, without its query string."""
    log_level: str = "info"
    """Least severe level to log: debug, info, warning or error."""

    max_message: int = 65_536
    """Maximum bytes of one posted message, as JSON."""
    max_command: int = 131_072
    """Maximum bytes of one frame or HTTP body; a larger frame closes the connection with 1009."""
    max_group_name: int = 256
    """Maximum characters of a group's name."""
    max_user_id: int = 256
    """Maximum characters of a user id or guest name."""
    max_depth: int = 64
    """Maximum depth of nested arrays and objects in a message."""
    max_page: int = 1000
    """Maximum rows of one page of groups or users."""
    max_connections: int = 20_000
    """Maximum connections in all; further ones are refused with 503."""
    max_connections_per_user: int = 100
    """Maximum connections of one user; a further one is closed with 4004."""
    max_queue: int = 1_048_576
    """Maximum unsent bytes of one slow connection; beyond that it is closed with 4005."""
    max_queue_user: int = 33_554_432
    """Maximum unsent bytes of all slow connections of one user; beyond that they are closed, and replays are gaps."""
    history_messages: int = 1000
    """Maximum messages of one group that are kept for clients that reconnect; 0 keeps none."""
    history_bytes: int = 524_288
    """Maximum bytes per group or user; a message counts 320 + 4 per sender character extra. At most max_queue / 2."""
    history_age: float = 300.0
    """Seconds for which messages, keys of posts, groups without members and users without connections are kept."""
    history_total: int = 268_435_456
    """Maximum bytes kept in all; beyond that the oldest messages are dropped first, in whichever group."""
    history_user: int = 16_777_216
    """Maximum bytes kept because of one user; further posts that would add to them are refused. 0 for no limit."""
    history_keys: int = 100_000
    """Keys of posts that are remembered at least; up to twice as many take about 300 bytes each."""
    history_idle_groups: int = 10_000
    """Maximum groups without members, and users without connections, that are remembered."""
    inbox_messages: int = 100
    """Maximum private messages of one user that are kept for connections that reconnect; 0 keeps none."""
    feed_age: float = 300.0
    """Seconds for which events of the feed are kept; none are written if nobody has read the feed for so long."""
    feed_events: int = 100_000
    """Maximum events of the feed that are kept, in each shard of the store."""
    feed_bytes: int = 33_554_432
    """Maximum bytes of the events that are kept, in each shard of the store."""
    max_feed_readers: int = 20
    """Maximum requests that read the feed at the same time, of one process; further ones are refused with 503."""
    rate_limit: float = 100.0
    """Commands per second that one connection may send in the long run; 0 for no limit."""
    rate_burst: int = 200
    """Commands that one connection may send at once before the rate limit applies."""
    http_rate_limit: float = 100.0
    """HTTP requests per second of one user, or of all callers without a token, in the long run; 0 for no limit."""
    http_rate_burst: int = 200
    """HTTP requests that one user may send at once before the rate limit applies."""
    max_watches: int = 20
    """Maximum live queries ("watch") of one connection."""
    max_watches_per_user: int = 200
    """Maximum live queries of one user on all connections to one process."""
    max_views: int = 2000
    """Maximum different live queries that one process evaluates; equal ones of readers with equal rights share one."""
    max_view_bytes: int = 134_217_728
    """Maximum bytes of the pages of all live queries; for each, "limit" rows with the longest names are reserved."""
    view_interval: float = 0.1
    """Shortest time in seconds that a client may ask for between two events of a live query ("every")."""
    view_interval_filtered: float = 1.0
    """The same for listings that are filtered by a token's "groups", which cost more."""
    view_cpu: float = 0.2
    """Share of one core for evaluating live queries; beyond it they get their events less often."""
    identify_timeout: float = 5.0
    """Seconds after which a connection that has not identified itself is closed with 4001."""
    hook_timeout: float = 5.0
    """Seconds that a hook of an app, or its answer over HTTP, may take; then the client is told UNAVAILABLE."""
    hook_concurrency: int = 100
    """Hooks of an app, or requests to it, that run at once in one process; further ones wait for their turn."""
    hooks: str | None = None
    """URL of an app that is asked who may connect, join and post: https, or http on this machine."""
    hooks_secret: str | None = None
    """Secret that signs the requests to it, as in Standard Webhooks: "whsec_" and base64 of 24 to 64 bytes."""
    hooks_events: tuple[HookEvent, ...] = HOOK_EVENTS
    """What it is asked (connect, join, post, private) and told (leave, disconnect); all else goes on without it."""
    hooks_headers: tuple[str, ...] = ()
    """Headers of a client's handshake that it gets besides the cookie, such as "user-agent"."""
    hooks_away: Literal["deny", "allow"] = "deny"
    """While it does not answer: "deny" refuses with UNAVAILABLE, "allow" lets joins and posts go on unasked."""
    ping_interval: float = 25.0
    """Seconds between pings of an idle connection; one that is silent for two intervals is closed with 4006."""
    restart_grace: float = 5.0
    """Grace period of a restart: seconds to reconnect before others are told that a client left; 0 tells at once."""
    drain_spread: float = 2.0
    """Seconds over which connections are told to reconnect elsewhere when the server stops; a few are told at once."""
    shutdown_timeout: float = 5.0
    """Seconds that connections have to close when the server stops."""

    def __new__(cls, **given: object) -> Settings:
        """Refuse the old name of a renamed setting with its new one, where Python would only call it unexpected."""
        for name in RENAMED.keys() & given.keys():
            raise SettingsError(renamed(name))
        return object.__new__(cls)

    def __post_init__(self) -> None:
        """Read the secret's file, check each value by itself, then the combination."""
        if self.secret_file is not None:
            object.__setattr__(self, "secret", read_secret(self.secret_file, self.secret))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, str):  # only `workers` may be a text
                if value != "auto":
                    raise SettingsError(f'{name} must be a number or "auto", not {value!r}')
                continue
            if not least <= value < math.inf:  # also refuses NaN
                raise SettingsError(f"{name} must be at least {least} and finite, not {value}")
        if self.port > 65_535:
            raise SettingsError(f"port must be at most 65535, not {self.port}")
        if self.max_command < self.max_message:
            raise SettingsError("max_command must be at least max_message, because a command contains a message")
        if self.log_level not in {"debug", "info", "warning", "error"}:
            raise SettingsError(f"log_level must be debug, info, warning or error, not {self.log_level!r}")
        for origin in self.origins:
            check_origin(origin)
        if self.public_url is not None:
            check_public_url(self.public_url)
        self._check_hooks()
        self._check_auth()

    def _check_hooks(self) -> None:
        check_hooks(self.hooks, self.hooks_secret, self.hooks_events, self.hooks_headers, self.hooks_away)
        if self.asks_app and "*" in self.origins:
            raise SettingsError(
                'with hooks a cookie may say who a client is, and with the origin "*" every page on the web could use '
                "the cookies of its visitors: name the origins of your pages, or leave connect out of hooks_events"
            )

    def _check_auth(self) -> None:
        if self.secret is not None:
            try:
                secret_bytes(self.secret)
            except SettingsError as error:
                raise (error if self.secret_file is None else SettingsError(f"{self.secret_file}: {error}")) from None
        if self.jwks_url is not None:
            check_jwks_url(self.jwks_url)
        if self.guests and not self.loopback:
            raise SettingsError(f"guests are allowed on loopback only, and host is {self.host!r}; set --no-guests")
        if not self.loopback and not self.has_keys and not self.asks_app:
            raise SettingsError(
                f"to listen on {self.host!r} the server must be able to check tokens: set --secret-file "
                "(HUBBUB_SECRET_FILE), HUBBUB_SECRET or --jwks-url (HUBBUB_JWKS_URL), or listen on 127.0.0.1"
            )

    @property
    def loopback(self) -> bool:
        """Whether `host` can only be reached from this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def has_keys(self) -> bool:
        """Whether the server can check tokens at all."""
        return self.secret is not None or self.jwks_url is not None

    @property
    def asks_app(self) -> bool:
        """Whether an app is asked over HTTP who a client is."""
        return self.hooks is not None and "connect" in self.hooks_events

    @property
    def allow_guests(self) -> bool:
        """Whether a name without a token is enough: `guests`, or its default."""
        return (self.loopback and not self.has_keys and not self.asks_app) if self.guests is None else self.guests

    def __repr__(self) -> str:
        """Show what differs from the defaults; never the secret or a password."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        if "backend" in shown:
            shown["backend"] = re.sub(r"//[^/]*@", "//…@", self.backend)
        for name in shown.keys() & {"secret", "hooks_secret"}:
            shown[name] = "…"
        if "hooks" in shown:
            shown["hooks"] = self.hooks.partition("?")[0] if self.hooks else None  # a query may be a password
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


_LEAST: dict[str, float] = {
    "port": 0,
    "workers": 1,
    "leeway": 0,
    "max_message": 1,
    "max_command": 1,
    "max_group_name": 1,
    "max_user_id": 1,
    "max_depth": 1,
    "max_page": 1,
    "max_connections": 1,
    "max_connections_per_user": 1,
    "max_queue": 1,
    "max_queue_user": 1,
    "history_messages": 0,
    "history_bytes": 0,
    "history_age": 1,
    "history_total": 0,
    "history_user": 0,
    "history_keys": 0,
    "history_idle_groups": 0,
    "inbox_messages": 0,
    "feed_age": 1,
    "feed_events": 1,
    "feed_bytes": 1,
    "max_feed_readers": 0,
    "rate_limit": 0,
    "rate_burst": 1,
    "http_rate_limit": 0,
    "http_rate_burst": 1,
    "max_watches": 0,
    "max_watches_per_user": 0,
    "max_views": 0,
    "max_view_bytes": 0,
    "view_interval": 0.01,
    "view_interval_filtered": 0.01,
    "view_cpu": 0.001,
    "identify_timeout": 0.1,
    "hook_timeout": 0.01,
    "hook_concurrency": 1,
    "ping_interval": 0.1,
    "restart_grace": 0,
    "drain_spread": 0,
    "shutdown_timeout": 0,
}
"""The least value of each number. All numbers must be finite."""


def renamed(name: str) -> str:
    """Return the text that refuses the old name of a renamed setting."""
    return f"{name} is now called {RENAMED[name]}: use the new name"
