"""Where settings come from: flag, then environment, then file, then default; and which of them was wrong."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cyclopts import App, ArgumentCollection, Token

from hubbub.errors import SettingsError
from hubbub.settings import RENAMED, Settings, renamed

DEFAULT_FILE = Path("hubbub.toml")
"""Read from the working directory if it exists and no other file was named."""

NAMES = tuple(field.name for field in fields(Settings))

PREFIX = "HUBBUB_"
VARIABLES = (*(name.upper() for name in NAMES), "APP", "CONFIG", "URL", "TOKEN", "GUEST_KEY")
"""Every environment variable that a command reads, without the prefix."""

_KUBERNETES = re.compile(r"SERVICE_(HOST|PORT)(_\w+)?|PORT_[0-9]+_\w+")
"""What Kubernetes sets, with the same prefix, in every container of a namespace with a service named "hubbub"."""


class Sources:
    """The last of a command's sources: takes what neither flags nor environment set from the settings file.

    The command has a parameter ``--config`` for the file's path, and any of the settings. Settings in the file that the
    command does not have are for other commands.
    """

    def __init__(self) -> None:
        self._origins: dict[str, Token] = {}

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Add the file's values to `arguments`; called by cyclopts when flags and environment have been read.

        Raises:
            SettingsError: The file cannot be read, is not TOML, or has a key that is not a setting; or a setting in the
                file or the environment has a new name.
        """
        refuse_old_variables(os.environ)
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
        """Where each setting of this run came from, without those that have their default."""
        return self._origins

    def note(self, message: str) -> str:
        """Return where the settings in an error message came from, to be appended to it; flags need no note."""
        notes = []
        for name, token in self._origins.items():
            about = re.search(rf"\b{name}\b", message) or repr(token.value) in message
            if about and token.source not in {"", "cli"}:
                notes.append(f"{name} comes from {token.keyword if token.source == 'env' else token.source}")
        return f" ({', '.join(notes)})" if notes else ""


def refuse_old_flag(option: str) -> None:
    """Raise `SettingsError` with the new name if `option`, as in ``--name``, is the flag of a renamed setting."""
    option = option.partition("=")[0]
    name = option.removeprefix("--").replace("-", "_")
    if name in RENAMED:
        raise SettingsError(f"{option} is now called --{RENAMED[name].replace('_', '-')}: use the new name")


def refuse_flag_of_hub(option: str) -> None:
    """Raise `SettingsError` if `option`, as in ``--name``, is a setting of the hub, beside ``--app``."""
    option = option.partition("=")[0]
    name = option.removeprefix("--").removeprefix("no-").replace("-", "_")
    if name.startswith("hooks"):
        raise SettingsError(f"{option} does not go with --app: the app decides itself, with @hub.on_connect and others")
    if name in NAMES:
        raise SettingsError(
            f"{option} does not go with --app: it is a setting of the hub. Write Hub({name}=…) in the app"
        )


def refuse_old_variables(environment: Mapping[str, str]) -> None:
    """Raise `SettingsError` with the new name if a variable in `environment` is that of a renamed setting."""
    for old, new in RENAMED.items():
        if (variable := f"{PREFIX}{old.upper()}") in environment:
            raise SettingsError(f"{variable} is now called {PREFIX}{new.upper()}: use the new name")


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each ``HUBBUB_…`` variable that no command reads. It does not repeat the value."""
    for variable in sorted(environment):
        name = variable.removeprefix(PREFIX)
        if name != variable and name not in VARIABLES and not _KUBERNETES.fullmatch(name):
            nearest = _nearest(name, VARIABLES, PREFIX)
            yield f"ignoring the environment variable {variable}: there is no such setting{nearest}"


def read_file(path: Path) -> dict[str, list[str]]:
    """Return the settings in a TOML file, by name, as one or several texts as they would stand on a command line.

    A relative path in the file is relative to the file's directory.

    Raises:
        SettingsError: The file cannot be read, is not TOML, or has a key that is not a setting.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    found = {_setting(key, path): _texts(key, value, path) for key, value in table.items()}
    if "secret_file" in found:  # so that the file means the same in whichever directory a command is started
        found["secret_file"] = [str(path.parent / each) for each in found["secret_file"]]
    return found


def _setting(key: str, path: Path) -> str:
    name = key.replace("-", "_")
    if name in RENAMED:
        raise SettingsError(f"{path}: {renamed(name)}")
    if name not in NAMES:
        raise SettingsError(f'{path}: there is no setting "{key}"{_nearest(name, NAMES)}')
    return name


def _nearest(name: str, names: tuple[str, ...], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def _texts(key: str, value: Any, path: Path) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int | float) for each in values):
        raise SettingsError(f"{path}: {key} must be a text, a number, true or false, or a list of texts")
    return [str(each) for each in values]
