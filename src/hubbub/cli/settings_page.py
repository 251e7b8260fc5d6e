"""Writes docs/settings.md out of settings.py: ``python -m hubbub.cli.settings_page > docs/settings.md``."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from textwrap import dedent

from hubbub.settings import Settings

_HEAD = """\
# Settings

Made from `src/hubbub/settings.py` by `python -m hubbub.cli.settings_page > docs/settings.md`; change that file.

Every option of `hubbub serve` can be set in four places. The first of them that sets it takes precedence:

1. a flag, `--max-message 1000`
2. an environment variable, `HUBBUB_MAX_MESSAGE=1000`
3. a TOML file, `max_message = 1000`: the one that `--config` or `HUBBUB_CONFIG` names, otherwise `hubbub.toml` in the
   working directory, if it exists
4. the default

An unknown key in the file is refused; an unknown environment variable that begins with `HUBBUB_` is ignored with a
warning that names the nearest setting. An invalid value is reported with the place that it came from. Booleans have two
flags, `--demo` and `--no-demo`, and are `true` or `false` elsewhere. A list is `--origins A --origins B`,
`HUBBUB_ORIGINS="A B"` or `origins = ["A", "B"]`. Sizes are bytes, times are seconds.

```toml
# hubbub.toml
host = "0.0.0.0"
secret_file = "/etc/hubbub.secret"
origins = ["https://chat.example.com"]
rate_limit = 20
```

Keep the secret out of the settings file, so that the file can be shown, copied and committed: `secret_file` names a
file that contains nothing else, which is how Docker and Kubernetes mount secrets. A relative path in a settings file is
relative to its directory; as a flag or in the environment, to the working directory.

```sh
(umask 077; openssl rand -hex 32 > hubbub.secret)   # readable by its owner only
```

<!-- background -->
```sh
hubbub serve --host 0.0.0.0 --secret-file hubbub.secret
```

`HUBBUB_SECRET` in the environment works as well. `--secret`, `--hooks-secret` and a password in `--backend` are visible
in the process list, and `hubbub` warns about them. It also warns about a file with a secret that every user of the
machine can read or write, except below `/run/secrets`, where containers mount secrets. Set only one of `secret` and
`secret_file`.

Two settings have had other names: `restart_grace` was `absence`, and `history_idle_groups` was `history_gone`. The old
names are refused, with the new one in the message.

In Python the same names are the keyword arguments of `hubbub.settings.Settings`.

| in the file | flag | environment | default | meaning |
|---|---|---|---|---|
"""


def settings_page() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(map(_row, describe().items()))


def describe() -> dict[str, str]:
    """Return the docstring of each setting in settings.py as one line, in the order there."""
    (definition,) = ast.parse(dedent(inspect.getsource(Settings))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(description))):
                found[name] = " ".join(description.split())
    return found


_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def _row(setting: tuple[str, str]) -> str:
    name, description = setting
    flag, default = f"--{name.replace('_', '-')}", _DEFAULTS[name]
    flags = f"`{flag}` `--no-{flag[2:]}`" if isinstance(default, bool) or name == "guests" else f"`{flag}`"
    text = " ".join(default) if isinstance(default, tuple) else str(default).lower()
    shown = "" if default is None or default == () else f"`{text}`"
    return f"| `{name}` | {flags} | `HUBBUB_{name.upper()}` | {shown} | {description} |\n"


if __name__ == "__main__":
    print(settings_page(), end="")
