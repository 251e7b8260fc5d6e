"""Pages that use the unmodified ``skapi-js`` from npm, on an origin of their own, and users in front of them."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from hubbub.auth.skapi_tokens import make_skapi_tokens
from support.browser import CHROMIUM as CHROMIUM
from support.clients import SECRET

HERE = Path(__file__).parents[1] / "skapi"
SERVICE, OWNER = "ap21mock00000000abcd", "11111111-1111-4111-8111-111111111111"
VERSIONS = ["122", "155", "158"]
NPM = shutil.which("npm")
PATIENCE = 60_000
"""Milliseconds after which something that a page waits for has failed."""

needs_skapi = pytest.mark.skipif(
    CHROMIUM is None or NPM is None,
    reason="!!! no Chromium or no npm here: the official skapi-js is not tested (install both)",
)

HEAD = "<!doctype html><meta charset=utf-8><title>A page</title>"
SCRIPT = """
<script>
  const heard = [], waiting = [];
  const hear = event => waiting.length ? waiting.shift()(event) : heard.push(event);
  const next = () => heard.length ? heard.shift() : new Promise(resolve => waiting.push(resolve));
  const text = value => JSON.stringify(value === undefined ? null : value);

  async function call(name, args) {
    try { return text({ok: await skapi[name](...JSON.parse(args))}); }
    catch (error) { return text({error: {code: error.code, message: error.message}}); }
  }
</script>
"""


class Site:
    """A web server for pages, which knows nothing of Hubbub. `pages` may be added to."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.pages: dict[str, str] = {}

    def page(self, version: str, point: str | None) -> str:
        """Return the address of a page with that version; `point` is the server whose script it loads first."""
        script = "" if point is None else f'<script src="{point}/point_skapi.js"></script>'
        path = f"/{len(self.pages)}.html"
        self.pages[path] = f'{HEAD}{script}<script src="/skapi-{version}.js"></script>{SCRIPT}'
        return self.origin + path


@contextmanager
def serve_site() -> Iterator[Site]:
    """Serve pages and the three versions of the client until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/skapi-"):
                body, kind = (HERE / "node_modules" / path[1:-3] / "dist" / "skapi.js").read_bytes(), "text/javascript"
            else:
                body, kind = site.pages.get(path, HEAD).encode(), "text/html"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


def user_id(name: str) -> str:
    """Return the UUID of the user whom the tests call `name`."""
    return str(uuid5(NAMESPACE_DNS, name))


class User:
    """Somebody on a page, with a browser profile of their own."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        self.id = user_id(name)
        self.cid = ""
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def run(self, script: str, argument: Any = None) -> Any:
        """Run a function on the page and return what it returns, over JSON: half surrogate pairs survive."""
        return json.loads(await self.page.evaluate(f"async x => text(await ({script})(x))", argument))

    async def ask(self, method: str, *arguments: Any) -> dict[str, Any]:
        """Call a method of the client; return ``{"ok": result}`` or ``{"error": {"code", "message"}}``."""
        answer = await self.page.evaluate("([name, args]) => call(name, args)", [method, json.dumps(arguments)])
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    async def do(self, method: str, *arguments: Any) -> Any:
        """Call a method of the client that succeeds, and return its result."""
        answer = await self.ask(method, *arguments)
        assert "ok" in answer, answer
        return answer["ok"]

    async def fail(self, method: str, *arguments: Any) -> dict[str, Any]:
        """Call a method of the client that fails, and return its error."""
        answer = await self.ask(method, *arguments)
        assert "error" in answer, answer
        error: dict[str, Any] = answer["error"]
        return error

    async def next(self) -> dict[str, Any]:
        """Return the next event of the callback."""
        late = f"new Promise((_, fail) => setTimeout(() => fail(Error('no event came')), {PATIENCE}))"
        event: dict[str, Any] = json.loads(
            await self.page.evaluate(f"async () => text(await Promise.race([next(), {late}]))")
        )
        return event

    async def join(self, group: str | None) -> None:
        """Join a group, and wait until the server has seen it: the client does not wait for that."""
        await self.do("joinRealtime", {"group": group})
        await self.settle()

    async def settle(self) -> None:
        """Wait until the server has done everything asked so far: a message to oneself has come back."""
        await self.do("postRealtime", {"settled": self.name}, self.id)
        event = await self.next()
        assert event["message"] == {"settled": self.name}, event
        assert event["sender_cid"].startswith("cid:")
        self.cid = event["sender_cid"]

    async def quiet(self) -> bool:
        """Whether nothing has come that was not read yet."""
        await self.settle()
        return bool(await self.run("() => heard.length === 0"))

    async def log_in(
        self, service: str, owner: str | None = None, etc: dict[str, Any] | None = None, **claims: Any
    ) -> None:
        """Make the client and log in with tokens, in whichever way this version offers.

        Without an owner, `service` is one of the longer forms that hold the owner's id as well.
        """
        tokens = make_skapi_tokens(self.id, SECRET, service, name=self.name, **claims)
        ids = [service] if owner is None else [service, owner]
        await self.run(_LOG_IN, [ids, tokens, self.id, etc or {}])

    async def connect(self) -> None:
        """Connect, and wait for the callback to say so."""
        await self.run("() => { skapi.connectRealtime(hear); }")
        event = await self.next()
        assert event["type"] == "success", event


_LOG_IN = """async ([ids, tokens, id, etc]) => {
  const keep = (key, value) => localStorage.setItem('CognitoIdentityServiceProvider.hubbub.' + key, value);
  if (!Skapi.prototype.loginWithToken) {  // before 1.5: where the client looks for the tokens of the last login
    keep('LastAuthUser', id);
    for (const [name, value] of Object.entries({...tokens, clockDrift: '0'})) keep(`${id}.${name}`, value);
  }
  window.skapi = new Skapi(...ids, {autoLogin: true}, etc);
  if (skapi.loginWithToken) await skapi.loginWithToken(tokens);
  return (await skapi.getProfile())?.user_id;
}"""


async def open_page(browser: Browser, url: str, name: str, context: BrowserContext | None = None) -> User:
    """Open a page for the user `name`: in a new profile, or in another tab of the same."""
    context = context or await browser.new_context(ignore_https_errors=True)  # certificates made for the tests
    context.set_default_timeout(PATIENCE)
    user = User(await context.new_page(), name)
    await user.page.goto(url)
    return user
