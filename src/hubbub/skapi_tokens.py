"""The documented home of `make_skapi_tokens`; see `hubbub.auth.skapi_tokens`."""

from hubbub.auth.skapi_tokens import make_skapi_tokens as make_skapi_tokens
