"""The shared secret that signs tokens: how it is read from a file, and what makes one good enough."""

from __future__ import annotations

from hubbub.errors import SettingsError

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key for HS256 must be at least as long as the hash, 256 bits."""
MAX_SECRET_BYTES = 65_536
"""The most bytes that a file with a secret may have."""


def read_secret(path: str, secret: str | None = None) -> str:
    """Return the secret in the file `path`.

    Args:
        path: The file. Line breaks at its end are ignored.
        secret: The secret that was also set directly, if any. It must be the same one.

    Raises:
        SettingsError: The file cannot be read, is too large or not UTF-8, or holds another secret than `secret`.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        why = getattr(error, "strerror", None) or error
        raise SettingsError(f"cannot read secret_file {path}: {why}") from None
    if len(content) > MAX_SECRET_BYTES:
        raise SettingsError(
            f"secret_file {path} has more than {MAX_SECRET_BYTES} bytes: it must contain only the secret"
        )
    try:
        found = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"secret_file {path} must be UTF-8; make one with: openssl rand -hex 32") from None
    if secret is not None and secret != found:
        raise SettingsError("secret and secret_file exclude each other: set only one of them")
    return found


def secret_bytes(secret: str) -> bytes:
    """Return the key that `secret` stands for.

    Raises:
        SettingsError: It is too short, or was not valid UTF-8 in the environment or on the command line.
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
