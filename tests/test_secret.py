"""The shared secret: read from a file, long enough, and UTF-8."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubbub.errors import SettingsError
from hubbub.secret import MAX_SECRET_BYTES
from hubbub.settings import Settings
from support.clients import SECRET


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_comes_from_a_file(end: str, tmp_path: Path) -> None:
    settings = Settings(secret_file=str(write(tmp_path / "s", SECRET + end)))
    assert settings.secret == SECRET
    assert settings.has_keys
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (b"short", r"/s: secret must be at least 32 bytes, not 5"),
        (b"", r"/s: secret must be at least 32 bytes, not 0"),
        (b"\xff" * 40, r"secret_file \S+/s must be UTF-8"),
        (b"x" * (MAX_SECRET_BYTES + 1), r"secret_file \S+/s has more than 65536 bytes"),
        (None, r"cannot read secret_file \S+/s: No such file"),
    ],
)
def test_a_file_that_holds_none_is_refused(held: bytes | None, message: str, tmp_path: Path) -> None:
    if held is not None:
        (tmp_path / "s").write_bytes(held)
    with pytest.raises(SettingsError, match=message):
        Settings(secret_file=str(tmp_path / "s"))


def test_two_secrets_exclude_each_other(tmp_path: Path) -> None:
    path = str(write(tmp_path / "s", SECRET))
    with pytest.raises(SettingsError, match="secret and secret_file exclude each other"):
        Settings(secret_file=path, secret=SECRET + "x")


def test_a_secret_is_measured_in_bytes() -> None:
    assert Settings(secret="ü" * 16).secret == "ü" * 16
    for short in ("", "s" * 31, "ü" * 15):
        with pytest.raises(SettingsError, match=r"at least 32 bytes.*openssl rand -hex 32"):
            Settings(secret=short)


def test_a_secret_that_was_not_utf8_in_the_environment() -> None:
    """Python turns such bytes into lone surrogates."""
    with pytest.raises(SettingsError, match="UTF-8"):
        Settings(secret=(b"\xff" * 40).decode("utf-8", "surrogateescape"))
