"""The documented import path of `make_skapi_tokens`; the code is in `hubbub.auth.skapi_tokens`."""

from hubbub.auth.skapi_tokens import make_skapi_tokens as make_skapi_tokens
