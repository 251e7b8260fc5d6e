"""The public names of the package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import hubbub
from hubbub.auth.authenticator import make_token
from hubbub.auth.skapi_tokens import make_skapi_tokens
from hubbub.server import Server


def test_every_public_name_is_there() -> None:
    assert all(hasattr(hubbub, name) for name in hubbub.__all__)
    assert (hubbub.Server, hubbub.make_token, hubbub.__version__) == (Server, make_token, version("hubbub"))


def test_documented_modules_are_there() -> None:
    from hubbub.skapi_tokens import make_skapi_tokens as documented

    assert documented is make_skapi_tokens


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'hubbub' has no attribute 'Sever'"):
        _ = hubbub.Sever


def test_a_client_loads_no_server() -> None:
    code = "import sys; from hubbub import connect; print('hubbub.server' in sys.modules, 'starlette' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
