"""Settings come from flag, environment, file, default, in this order; every one can, and a wrong one is traced."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hubbub.cli import app
from hubbub.cli.sources import read_file, unknown_variables
from hubbub.errors import SettingsError
from hubbub.settings import RENAMED, Settings
from support.command import call

# Another value than the default for each setting, and one more for each source that is to win over it.
OTHERS: dict[str, list[Any]] = {
    "host": ["127.0.0.2", "127.0.0.3", "::1"],
    "backend": ["valkey://a", "rediss://:b@b:7000/1", "redis://c"],
    "secret": ["a" * 32, "b" * 32, "c" * 32],
    "secret_file": ["a.secret", "b.secret", "c.secret"],
    "jwks_url": ["https://a.example/keys", "https://b.example/keys", "https://c.example/keys"],
    "issuer": ["a", "b", "c"],
    "audience": ["a", "b", "c"],
    "guests": [False, True, False],
    "origins": [("https://a.example", "http://b.example:81"), ("*",), ("https://c.example",)],
    "public_url": ["https://a.example", "http://b.example:81", "https://c.example"],
    "forwarded": [True, False, True],
    "demo": [False, True, False],
    "access_log": [True, False, True],
    "log_level": ["debug", "warning", "error"],
    "hooks": ["https://a.example/hubbub", "http://127.0.0.1:81/", "http://localhost/hubbub"],
    "hooks_secret": ["whsec_" + letter * 40 for letter in "abc"],
    "hooks_events": [("join",), ("connect", "post"), ("leave", "disconnect")],
    "hooks_headers": [("user-agent",), ("x-one", "x-two"), ("authorization",)],
    "hooks_away": ["allow", "deny", "allow"],
    "max_message": [1, 2, 3],
    "max_command": [200_000, 300_000, 400_000],
}
NAMES = [field.name for field in fields(Settings)]
NEEDS = {"hooks": "hooks_secret", "hooks_secret": "hooks"}
# "secret_file" excludes "secret", and has a test of its own; an app needs its secret, and excludes some origins.
ALONE = [name for name in NAMES if name not in {"secret_file", *NEEDS}]


def values(name: str) -> list[Any]:
    """Return three values for a setting; neighbours differ."""
    return OTHERS.get(name) or [getattr(Settings(), name) + step for step in (1, 2, 3)]


def flag(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option if value else f"--no-{option[2:]}"]
    return [part for each in (value if isinstance(value, tuple) else [value]) for part in (option, str(each))]


def variable(name: str, value: Any) -> tuple[str, str]:
    text = (
        " ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )
    return f"HUBBUB_{name.upper()}", text


def line(name: str, value: Any) -> str:
    return f"{name} = {json.dumps(value)}\n"  # for these values TOML is written as JSON is


def parse(*arguments: str) -> Settings:
    """Return the settings that ``hubbub serve ARGUMENTS`` would start a server with."""
    _, bound, _ = app.parse_args(["serve", *arguments], exit_on_error=False, print_error=False)
    return bound.arguments.get("settings") or Settings()


def test_without_any_source_the_defaults_hold(empty: Path) -> None:
    assert parse() == Settings()


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(ALONE),
        st.sets(st.sampled_from([0, 1, 2])),
        max_size=8,
    )
)
def test_the_first_source_that_has_it_wins(empty: Path, given_by: dict[str, set[int]]) -> None:
    # 0: flag, 1: environment, 2: file. The oracle is the smallest of them.
    flags = [part for name, by in given_by.items() if 0 in by for part in flag(name, values(name)[0])]
    Path("hubbub.toml").write_text("".join(line(name, values(name)[2]) for name, by in given_by.items() if 2 in by))
    with pytest.MonkeyPatch.context() as environment:
        for name, by in given_by.items():
            if 1 in by:
                environment.setenv(*variable(name, values(name)[1]))
        settings = parse(*flags)
    for name in NAMES:
        by = given_by.get(name)
        assert getattr(settings, name) == (values(name)[min(by)] if by else getattr(Settings(), name)), name


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_can_come_from_everywhere(name: str, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in OTHERS["secret_file"]:
        (empty / file).write_text(file * 4)
    if name in NEEDS:
        monkeypatch.setenv(*variable(NEEDS[name], values(NEEDS[name])[0]))
    (empty / "hubbub.toml").write_text(line(name, values(name)[2]))
    assert getattr(parse(), name) == values(name)[2]
    monkeypatch.setenv(*variable(name, values(name)[1]))
    assert getattr(parse(), name) == values(name)[1]
    assert getattr(parse(*flag(name, values(name)[0])), name) == values(name)[0]


def test_the_file_that_is_named_wins_over_the_one_that_lies_there(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2, 3):
        (empty / f"{number}.toml").write_text(f"port = {number}")
    (empty / "3.toml").rename("hubbub.toml")
    assert parse().port == 3
    monkeypatch.setenv("HUBBUB_CONFIG", "2.toml")
    assert parse().port == 2
    assert parse("--config", "1.toml").port == 1


def test_hyphens_in_the_file_are_as_good_as_underscores(empty: Path) -> None:
    (empty / "hubbub.toml").write_text("rate-limit = 0.5")
    assert parse().rate_limit == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1", 'hubbub.toml: there is no setting "prot"; did you mean port?'),
        ("zzz = 1", 'hubbub.toml: there is no setting "zzz"'),
        ("[serve]\nport = 1", 'hubbub.toml: there is no setting "serve"'),
        ("port = {a = 1}", "hubbub.toml: port must be a text, a number, true or false"),
        ("origins = [[]]", "hubbub.toml: origins must be a text, a number, true or false"),
        ("port = 1979-05-27", "hubbub.toml: port must be a text"),
        ("port =", "hubbub.toml is not valid TOML: "),
        ("port = 1\nport = 2", "hubbub.toml is not valid TOML: "),
        (b"issuer = '\xff'", "hubbub.toml is not valid TOML: "),
    ],
)
def test_a_file_that_is_wrong_is_refused(text: str | bytes, message: str, empty: Path) -> None:
    (empty / "hubbub.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as refused:
        parse()
    assert str(refused.value).startswith(message)


def test_a_file_that_is_named_must_be_there(empty: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read nowhere\.toml: No such file"):
        parse("--config", "nowhere.toml")


@pytest.mark.parametrize(
    ("arguments", "environment", "file", "message"),
    [
        (["--port", "70000"], {"HUBBUB_PORT": "1"}, "", "hubbub: port must be at most 65535, not 70000"),
        ([], {"HUBBUB_PORT": "70000"}, "port = 1", "not 70000 (port comes from HUBBUB_PORT)"),
        ([], {}, "port = 70000", "not 70000 (port comes from hubbub.toml)"),
        (
            [],
            {"HUBBUB_PORT": "x"},
            "",
            'hubbub: Invalid value for HUBBUB_PORT from env: unable to convert "x" into int.',
        ),
        ([], {}, 'port = "x"', "hubbub: Invalid value for port from hubbub.toml: unable to convert"),
        ([], {}, 'host = "0.0.0.0"', "or listen on 127.0.0.1 (host comes from hubbub.toml)"),
        ([], {"HUBBUB_SECRET": "short"}, "", "make one with: openssl rand -hex 32 (secret comes from HUBBUB_SECRET)"),
        (["--prot", "1"], {}, "", "hubbub: Unknown option: --prot. Did you mean --port?"),
    ],
)
def test_a_wrong_value_is_traced_to_its_source(
    arguments: list[str],
    environment: dict[str, str],
    file: str,
    message: str,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (empty / "hubbub.toml").write_text(file)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ran = call("serve", *arguments)
    assert (ran.code, ran.out) == (2, "")
    (said,) = ran.err.splitlines()
    assert said == message if message.startswith("hubbub: port") else message in said


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
@pytest.mark.parametrize("source", ["flag", "flag=", "environment", "file"])
def test_the_old_name_of_a_setting_is_refused_with_the_new_one(
    source: str, old: str, new: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option, new_option = (f"--{name.replace('_', '-')}" for name in (old, new))
    arguments: list[str] = []
    if source == "environment":
        monkeypatch.setenv(f"HUBBUB_{old.upper()}", "1")
        expected = f"HUBBUB_{old.upper()} is now called HUBBUB_{new.upper()}: use the new name"
    elif source == "file":
        (empty / "hubbub.toml").write_text(f"{old} = 1")
        expected = f"hubbub.toml: {old} is now called {new}: use the new name"
    else:
        arguments = [f"{option}=1"] if source == "flag=" else [option, "1"]
        expected = f"{option} is now called {new_option}: use the new name"
    ran = call("serve", *arguments)
    assert (ran.code, ran.out, ran.err) == (2, "", f"hubbub: {expected}\n")


def test_variables_that_nothing_reads_are_reported_with_the_nearest_name() -> None:
    environment = {
        "HUBBUB_WOKERS": "s3cret",
        "HUBBUB_XYZZY": "1",
        "HUBBUB_PORT": "1",
        "HUBBUB_URL": "x",
        "HUBBUB_TOKEN": "x",
        "HUBBUB_CONFIG": "x",
        "HUBBUB_SERVICE_HOST": "10.0.0.1",  # Kubernetes sets these for a service named "hubbub"
        "HUBBUB_SERVICE_PORT_HTTP": "8000",
        "HUBBUB_PORT_8000_TCP_ADDR": "10.0.0.1",
        "PATH": "x",
    }
    assert list(unknown_variables(environment)) == [
        "ignoring the environment variable HUBBUB_WOKERS: there is no such setting; did you mean HUBBUB_WORKERS?",
        "ignoring the environment variable HUBBUB_XYZZY: there is no such setting",
    ]


def test_unknown_variables_are_reported_by_commands_that_read_settings(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBBUB_SECRET", "s" * 32)
    monkeypatch.setenv("HUBBUB_ISUER", "x")
    ran = call("token", "alice")
    assert ran.code == 0
    assert ran.err.endswith("HUBBUB_ISUER: there is no such setting; did you mean HUBBUB_ISSUER?\n")


def test_a_relative_secret_file_is_beside_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hubbub.toml").write_text('secret_file = "hubbub.secret"\nmax_message = 1\n')
    monkeypatch.chdir(tmp_path)
    found = read_file(Path("etc/hubbub.toml"))
    assert found == {"secret_file": ["etc/hubbub.secret"], "max_message": ["1"]}
    (tmp_path / "etc/hubbub.toml").write_text('secret_file = "/run/secrets/hubbub"\n')
    assert read_file(Path("etc/hubbub.toml")) == {"secret_file": ["/run/secrets/hubbub"]}
