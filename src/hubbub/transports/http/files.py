"""The files in ``web/``: the browser client, and the demo page with its scripts and styles.

The page has no inline scripts or styles and connects to its own server only, and its content security policy allows no
more; ``connect-src 'self'`` covers the WebSocket to the same host and port (CSP level 3, section 6.7.2.8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubbub.errors import ErrorCode
from hubbub.settings import Settings
from hubbub.transports.mounted_path import PREFIX
from hubbub.transports.refusal import HttpError

WEB = Path(__file__).parents[2] / "web"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

LOGIN_MARK = 'data-login="guests"'
"""What `demo_page` replaces in index.html."""

PUBLIC = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
"""Lets pages of every origin load a file, as a module (which needs the first) and as a script (the second)."""

_TYPES = {
    ".js": "text/javascript",
    ".ts": "text/plain",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}


def file_routes(settings: Settings) -> list[Route]:
    """Return the routes of the client and, if the settings say so, of the demo page.

    Pages of all origins may load the client. To connect, their origin must be in the settings.
    """
    client = [
        Route("/hubbub.js", _client_file("hubbub.js")),
        Route("/hubbub.d.ts", _client_file("hubbub.d.ts")),
        Route("/hubbub.global.js", global_client),
    ]
    if not settings.demo:
        return [*client, Route("/", no_demo)]
    return [*client, Route("/", demo_page(settings)), Route("/demo/{file}", demo_file)]


# Plain functions: Starlette runs them in a thread, where reading a file does not block the event loop.


def _client_file(name: str) -> Callable[[Request], Response]:
    """Return the endpoint for the browser client or its types."""

    def client_file(request: Request) -> Response:
        return _file(request, WEB / "client" / name, PUBLIC)

    return client_file


def global_client(request: Request) -> Response:
    """Return the browser client for a plain ``<script>``, built from the module as the comment at its top says."""
    module = (WEB / "client" / "hubbub.js").read_text()
    body, mark, _exports = module.partition("\n// --- exports")
    assert mark, 'hubbub.js has no line "// --- exports"'
    script = f"(() => {{\n'use strict';\n{body}\nObject.assign(globalThis, {{ Hubbub, HubbubError }});\n}})();\n"
    return _content(request, script.encode(), ".js", PUBLIC)


def demo_page(settings: Settings) -> Callable[[Request], Response]:
    """Return the endpoint for the demo page, into which it writes whether a name is enough or a token is needed."""
    accepted = [*["guests"] * settings.allow_guests, *["tokens"] * settings.has_keys]
    mark = f'data-login="{" ".join(accepted)}"'

    def page(request: Request) -> Response:
        source = (WEB / "demo" / "index.html").read_text()
        assert LOGIN_MARK in source, f"index.html has no {LOGIN_MARK}"
        content = source.replace(LOGIN_MARK, mark, 1).encode()
        return _content(request, content, ".html", {"Content-Security-Policy": PAGE_POLICY})

    return page


def demo_file(request: Request) -> Response:
    """Return a file of the demo page. Only names that the directory lists are opened, so no path leads out of it."""
    name = request.path_params["file"]
    for path in (WEB / "demo").iterdir():
        if path.name == name and path.is_file() and path.suffix != ".html":
            return _file(request, path, {"Content-Security-Policy": PAGE_POLICY})
    raise HttpError(
        404, ErrorCode.INVALID_REQUEST, "The demo page has no such file. Its files are named in the page at /."
    )


def no_demo(request: Request) -> Response:
    """Refuse: the demo page is switched off, or this is a hub in an app, which has none."""
    prefix = request.scope.get(PREFIX, "")
    text = (
        f"There is no page here. The browser client is at {prefix}/hubbub.js, and {prefix}/openapi.json describes the "
        'HTTP API. The demo page comes with "hubbub serve", without --no-demo.'
    )
    raise HttpError(404, ErrorCode.INVALID_REQUEST, text)


def _file(request: Request, path: Path, headers: dict[str, str]) -> Response:
    return _content(request, path.read_bytes(), path.suffix, headers)


def _content(request: Request, content: bytes, suffix: str, headers: dict[str, str]) -> Response:
    """Return a file's content, or 304 if the browser has it already (RFC 9110, section 13.1.2)."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag, **headers}  # browsers keep it and revalidate it each time
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES.get(suffix, "application/octet-stream"))
