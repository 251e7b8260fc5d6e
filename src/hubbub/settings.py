"""Every option, once. Flags, ``HUBBUB_…`` environment variables and the TOML file are all made from this one class.

The command line reads the fields, their types, defaults and docstrings from here; a new option is one field here and
nothing elsewhere. Sizes are bytes, times are seconds.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass, fields
from urllib.parse import SplitResult, urlsplit

from hubbub.errors import SettingsError

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key for HS256 must be at least as long as the hash, 256 bits."""
MAX_SECRET_BYTES = 65_536
"""Bytes of the largest file that is taken for one with a secret in it."""

_PORTS = {"http": 80, "https": 443}
"""The schemes of web addresses, with the ports that go without saying."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a server is started with. Immutable; checked as a whole when made.

    Raises:
        SettingsError: A value is out of its range, or the combination would be unsafe. The text says what to set.
    """

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs a secret or a JWKS URL."""
    port: int = 8000
    """Port to listen on; 0 lets the system choose one."""
    backend: str = "memory"
    """What nodes share: "memory" for a single node, or "valkey://host:6379" for several ("rediss://…" with TLS; more
    servers of a cluster, or the replicas, after commas)."""
    workers: int = 1
    """Processes that "hubbub serve" starts on the port; more than one need a backend that they share."""
    secret: str | None = None
    """Shared secret that signs the tokens (HS256), at least 32 bytes."""
    secret_file: str | None = None
    """File that holds the secret, as in "/run/secrets/hubbub"; a line break at its end does not count."""
    jwks_url: str | None = None
    """URL of a JSON Web Key Set whose keys sign the tokens (RS256, ES256, EdDSA)."""
    issuer: str | None = None
    """Required "iss" of every token."""
    audience: str | None = None
    """Required "aud" of every token."""
    leeway: float = 10.0
    """Seconds by which clocks may differ when a token's times are checked."""
    guests: bool | None = None
    """Let people in by name, on loopback only; beside tokens, as "guest:NAME". Default: yes, without secret or JWKS."""
    origins: tuple[str, ...] = ()
    """Origins of web pages that may connect besides the server's own, as "https://example.com"; "*" for all."""
    public_url: str | None = None
    """Address under which clients reach the server, as "https://example.com". Default: what each request is sent to."""
    forwarded: bool = False
    """Believe "X-Forwarded-Proto" and "X-Forwarded-Host"; only behind a proxy that sets both, or anyone could."""
    demo: bool = True
    """Serve the demo page at "/"."""
    access_log: bool = False
    """Log every HTTP request, without its query string."""
    log_level: str = "info"
    """How much to log: debug, info, warning or error."""

    max_message: int = 65_536
    """Most bytes of one posted message, as JSON."""
    max_command: int = 131_072
    """Most bytes of one frame or HTTP body; a larger frame closes the connection with 1009."""
    max_group_name: int = 256
    """Most characters of a group's name."""
    max_user_id: int = 256
    """Most characters of a user id or guest name."""
    max_depth: int = 64
    """Most levels of arrays and objects inside each other in a message."""
    max_page: int = 1000
    """Most rows of one page of groups or users."""
    max_connections: int = 20_000
    """Most connections in all; further ones are refused with 503."""
    max_connections_per_user: int = 100
    """Most connections of one user; a further one is closed with 4004."""
    max_queue: int = 1_048_576
    """Most bytes waiting for one slow connection; then it is closed with 4005."""
    max_queue_user: int = 33_554_432
    """Most bytes waiting for all slow connections of one user together, at least max_queue; then one that more is sent
    to is closed with 4005, and what a join asks to hear again is left out, which its answer says (gap)."""
    history_messages: int = 1000
    """Most messages of one group that are kept for those who come back; 0 keeps none."""
    history_bytes: int = 524_288
    """Most bytes kept of one group or one user, 320 for each message and 4 for each character of its sender added;
    never more than half of max_queue."""
    history_age: float = 300.0
    """Seconds for which messages, keys of posts, and groups and users that are gone are remembered."""
    history_total: int = 268_435_456
    """Most bytes kept in all; beyond it the oldest messages go first, whosever they are."""
    history_user: int = 16_777_216
    """Most bytes kept because of one user; what would add to them is refused until some are gone. 0 for no limit."""
    history_keys: int = 100_000
    """Keys of posts that are remembered at least; up to twice as many take about 300 bytes each."""
    history_idle_groups: int = 10_000
    """Most groups without members, and most users without connections, that are remembered."""
    inbox_messages: int = 100
    """Most private messages of one user that are kept for a connection that comes back; 0 keeps none."""
    rate_limit: float = 100.0
    """Commands a second that one connection may send in the long run; 0 for no limit."""
    rate_burst: int = 200
    """Commands that one connection may send at once before the rate limit holds."""
    http_rate_limit: float = 100.0
    """HTTP requests a second of one user, or of all callers without a token, in the long run; 0 for no limit."""
    http_rate_burst: int = 200
    """HTTP requests that one user may make at once before the rate limit holds."""
    identify_timeout: float = 5.0
    """Seconds after which a connection that has not identified itself is closed with 4001."""
    ping_interval: float = 25.0
    """Seconds between pings of an idle connection; one silent for two intervals is closed with 4006."""
    restart_grace: float = 5.0
    """Seconds for which others hear nothing of a connection that was told to leave because the server stops; if its
    user is back by then, they never do. The legacy client comes back after 3; with 0 they hear it at once."""
    drain_spread: float = 2.0
    """Seconds over which connections are told to leave when the server stops; a few are told at once."""
    shutdown_timeout: float = 5.0
    """Seconds that connections have to leave when the server stops."""

    def __post_init__(self) -> None:
        """Read the secret's file, check each value by itself, then the combination."""
        if self.secret_file is not None:
            object.__setattr__(self, "secret", read_secret(self.secret_file, self.secret))
        for name in ("max_message", "max_command", "max_group_name", "max_user_id", "max_depth", "max_page"):
            self._at_least(name, 1)
        for name in (
            "max_connections",
            "max_connections_per_user",
            "max_queue",
            "max_queue_user",
            "rate_burst",
            "http_rate_burst",
            "workers",
        ):
            self._at_least(name, 1)
        for name in (
            "history_messages",
            "history_bytes",
            "history_total",
            "history_user",
            "history_keys",
            "history_idle_groups",
            "inbox_messages",
        ):
            self._at_least(name, 0)
        self._at_least("history_age", 1)
        for name in ("identify_timeout", "ping_interval"):
            self._at_least(name, 0.1)
        for name in (
            "port",
            "leeway",
            "rate_limit",
            "http_rate_limit",
            "drain_spread",
            "shutdown_timeout",
            "restart_grace",
        ):
            self._at_least(name, 0)
        if self.port > 65_535:
            raise SettingsError(f"port must be at most 65535, not {self.port}")
        if self.max_command < self.max_message:
            raise SettingsError("max_command must be at least max_message: a command carries a message")
        if self.log_level not in {"debug", "info", "warning", "error"}:
            raise SettingsError(f"log_level must be debug, info, warning or error, not {self.log_level!r}")
        for origin in self.origins:
            _check_origin(origin)
        if self.public_url is not None:
            _check_public_url(self.public_url)
        self._check_auth()

    def _at_least(self, name: str, least: float) -> None:
        value = getattr(self, name)
        if not least <= value < math.inf:  # also refuses NaN
            raise SettingsError(f"{name} must be at least {least} and finite, not {value}")

    def _check_auth(self) -> None:
        if self.secret is not None:
            try:
                secret_bytes(self.secret)
            except SettingsError as error:
                raise (error if self.secret_file is None else SettingsError(f"{self.secret_file}: {error}")) from None
        if self.jwks_url is not None:
            _check_jwks_url(self.jwks_url)
        if self.guests and not self.loopback:
            raise SettingsError(f"guests are allowed on loopback only, and host is {self.host!r}; set --no-guests")
        if not self.loopback and not self.has_keys:
            raise SettingsError(
                f"listening on {self.host!r} needs a way to tell who connects: set --secret-file (HUBBUB_SECRET_FILE), "
                "HUBBUB_SECRET or --jwks-url (HUBBUB_JWKS_URL), or listen on 127.0.0.1"
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
        """Whether tokens can be checked at all."""
        return self.secret is not None or self.jwks_url is not None

    @property
    def allow_guests(self) -> bool:
        """Whether a name without a token is enough; `guests`, with its default filled in."""
        return (self.loopback and not self.has_keys) if self.guests is None else self.guests

    def __repr__(self) -> str:
        """Show what differs from the defaults; never the secret or a password."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        if "backend" in shown:
            shown["backend"] = re.sub(r"//[^/]*@", "//…@", self.backend)
        if "secret" in shown:
            shown["secret"] = "…"  # noqa: S105
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def read_secret(path: str, secret: str | None = None) -> str:
    """Return the secret in the file `path`.

    Args:
        path: The file; a line break at its end does not count.
        secret: The secret that was set beside it, if any; the same one is none too many.

    Raises:
        SettingsError: The file cannot be read, is too large or not UTF-8, or holds another secret than `secret`.
    """
    try:
        with open(path, "rb") as file:
            held = file.read(MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"cannot read secret_file {path}: {why}") from None
    if len(held) > MAX_SECRET_BYTES:
        raise SettingsError(f"secret_file {path} has more than {MAX_SECRET_BYTES} bytes: it must hold the secret alone")
    try:
        found = held.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"secret_file {path} must be UTF-8; make one with: openssl rand -hex 32") from None
    if secret is not None and secret != found:
        raise SettingsError("secret and secret_file exclude each other: set one of them")
    return found


def secret_bytes(secret: str) -> bytes:
    """Return the key that `secret` stands for.

    Raises:
        SettingsError: It is too short, or was not valid UTF-8 where it came from.
    """
    try:
        key = secret.encode()
    except UnicodeEncodeError:
        raise SettingsError("secret must be valid UTF-8; make one with: openssl rand -hex 32") from None
    if len(key) < MIN_SECRET_BYTES:
        raise SettingsError(
            f"secret must be at least {MIN_SECRET_BYTES} bytes, not {len(key)}; make one with: openssl rand -hex 32"
        )
    return key


def _check_jwks_url(url: str) -> None:
    # The URL is not repeated in the error: it may hold a password.
    parts = _split(url)
    if parts is None or not parts.hostname:
        raise SettingsError("jwks_url must start with https:// or http:// and a host")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("jwks_url must not have a user name or password in it: key sets are public")


def _check_public_url(url: str) -> None:
    parts = _split(url)
    if parts is None or url != _origin(parts):
        raise SettingsError(
            'public_url must look like "https://example.com" or "http://localhost:8000": lower case, ASCII, '
            f"no path, no port that goes without saying; not {url!r}"
        )


def _check_origin(origin: str) -> None:
    """Refuse what can never equal an ``Origin`` header; RFC 6454, section 6.2, leaves one way to write it."""
    if origin == "*":
        return
    parts = _split(origin)
    if parts is None or origin != _origin(parts):
        raise SettingsError(
            'origins must look like "https://example.com" or "http://localhost:3000": lower case, ASCII, '
            f"no path, no port that goes without saying; not {origin!r}"
        )


def _origin(parts: SplitResult) -> str | None:
    host = parts.hostname
    if not host or not host.isascii():
        return None
    port = "" if parts.port in {None, _PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


def _split(url: str) -> SplitResult | None:
    """Take a web address apart; None if it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises, unless it is a number up to 65535
    except ValueError:
        return None
    return parts if parts.scheme in _PORTS else None
