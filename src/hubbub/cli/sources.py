"""Where settings come from: flag, then environment, then file, then default; and which of them was wrong."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection, Token

from hubbub.errors import SettingsError
from hubbub.settings import Settings

DEFAULT_FILE = Path("hubbub.toml")
"""Read from the working directory if it is there and no other file was named."""

NAMES = tuple(field.name for field in fields(Settings))


class Sources:
    """The last of a command's sources: fills what neither flags nor environment gave from the settings file.

    The command has a parameter ``--config`` for the file's path, and any of the settings; those in the file that it has
    not are for other commands.
    """

    def __init__(self) -> None:
        self._origins: dict[str, Token] = {}

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Add the file's values to `arguments`; called by cyclopts when flags and environment have been read.

        Raises:
            SettingsError: The file cannot be read, is not TOML, or has a key that is no setting.
        """
        known = {argument.name.removeprefix("--").replace("-", "_"): argument for argument in arguments}
        given = known["config"].tokens
        path = Path(given[0].value) if given else DEFAULT_FILE
        if given or path.exists():
            for name, values in read_file(path).items():
                if name in known and not known[name].tokens:
                    for index, value in enumerate(values):
                        known[name].append(Token(keyword=name, value=value, source=str(path), index=index))
        self._origins = {name: argument.tokens[0] for name, argument in known.items() if argument.tokens}

    @property
    def origins(self) -> dict[str, Token]:
        """Where each setting of this run came from, those that were given."""
        return self._origins

    def note(self, message: str) -> str:
        """Return where the settings that `message` is about came from, to be put behind it; flags need no note."""
        notes = []
        for name, token in self._origins.items():
            about = re.search(rf"\b{name}\b", message) or repr(token.value) in message
            if about and token.source not in {"", "cli"}:
                notes.append(f"{name} comes from {token.keyword if token.source == 'env' else token.source}")
        return f" ({', '.join(notes)})" if notes else ""


def read_file(path: Path) -> dict[str, list[str]]:
    """Return the settings in a TOML file, by name, as one or several texts as they would stand on a command line.

    Raises:
        SettingsError: The file cannot be read, is not TOML, or has a key that is no setting.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    return {_setting(key, path): _texts(key, value, path) for key, value in table.items()}


def _setting(key: str, path: Path) -> str:
    name = key.replace("-", "_")
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise SettingsError(f'{path}: there is no setting "{key}"{f"; did you mean {near[0]!r}?" if near else ""}')
    return name


def _texts(key: str, value: Any, path: Path) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise SettingsError(f"{path}: {key} must be a text, a number, true or false, or a list of texts")
    return [str(each) for each in values]
