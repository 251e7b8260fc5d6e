"""The browser client in real Chromium: as a module and as a plain script, the spec page's form, forms of all kinds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from hubbub.server import Server
from hubbub.settings import Settings
from support.browser import CHROMIUM, chromium
from support.waiting import PATIENCE

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="!!! no Chromium here: make browser installs it"),
    pytest.mark.asyncio(loop_scope="module"),  # one browser for all, so one loop for all
]

# What pages write: the client, and the form of the spec page, word for word.
MODULE = """<script type="module">
  import { Hubbub } from '/hubbub.js';
  start(new Hubbub({ guest: 'alice' }));
</script>"""
SCRIPT = """<script src="/hubbub.global.js"></script>
<script>
  start(new Hubbub({ guest: 'alice' }));
</script>"""
SPEC_FORM = """
<form onsubmit="skapi.postRealtime(event, 'HelloWorld').then(u=>console.log(u))">
    <input name="msg" required><input type="submit" value="Send">
</form>
"""
PAGE = """<!doctype html><title>starting</title><link rel="icon" href="data:,"><script>
  const heard = [];
  let next = () => {};
  async function start(client) {
    window.skapi = client;
    await skapi.connectRealtime((event) => event.type === 'message' && (heard.push(event.message), next()));
    await skapi.joinRealtime({ group: 'HelloWorld' });
    document.title = 'ready';
  }
  // Post what `make` returns, and return the message that the group receives, or the error.
  async function post(html, make) {
    document.getElementById('here').innerHTML = html;
    try {
      await skapi.postRealtime(make(), 'HelloWorld');
    } catch ({ code, message }) {
      return { code, message };
    }
    return await hear();
  }
  async function hear() {
    if (!heard.length) await new Promise((resolve) => (next = resolve));
    return heard.shift();
  }
</script><div id="here"></div>"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with Server(Settings(port=0)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def visit(browser: Browser, server: Server, html: str) -> Page:
    """Open a page of the server and replace its content with `html`; its origin stays the client's default."""
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    await page.goto(f"{server.url}/healthz")
    await page.set_content(html)
    await expect(page).to_have_title("ready")
    return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(browser: Browser, server: Server) -> AsyncIterator[Page]:
    """One page for all forms; it is connected and in the group."""
    opened = await visit(browser, server, PAGE + MODULE)
    yield opened
    await opened.close()


async def post(page: Page, html: str, make: str = "() => document.forms[0]") -> Any:
    return await page.evaluate(f"([html]) => post(html, {make})", [html])


@pytest.mark.parametrize("client", [MODULE, SCRIPT], ids=["module", "script"])
async def test_the_form_of_the_spec_page(browser: Browser, server: Server, client: str) -> None:
    page = await visit(browser, server, PAGE + SPEC_FORM + client)
    await page.locator("[name=msg]").fill("50% <b>off</b>")
    async with page.expect_console_message() as logged:
        await page.get_by_role("button", name="Send").click()
    result = await (await logged.value).args[0].json_value()
    assert result == {"type": "success", "message": "Message sent.", "recipients": 1}
    assert await page.evaluate("() => hear()") == {"msg": "50% <b>off</b>"}
    assert page.url == f"{server.url}/healthz"  # the browser's own handling was prevented
    await page.close()


async def test_a_plain_script_defines_two_globals(browser: Browser, server: Server) -> None:
    names = "<script>const before = Object.getOwnPropertyNames(window);</script>"
    page = await visit(browser, server, names + PAGE + SCRIPT)
    added = "() => Object.getOwnPropertyNames(window).filter((name) => !before.includes(name) && /^[Hh]ub/.test(name))"
    assert sorted(await page.evaluate(added)) == ["Hubbub", "HubbubError"]
    assert await page.evaluate("() => typeof Connection + typeof commands + typeof backoff") == "undefined" * 3
    await page.close()


FORMS: dict[str, tuple[str, Any]] = {
    "text": (
        "<input name=a value='1'><input type=hidden name=b value=x><input type=email name=c value=''>"
        "<textarea name=d>two\nlines</textarea><select name=e><option>one<option selected>two</select>",
        {"a": "1", "b": "x", "c": "", "d": "two\nlines", "e": "two"},
    ),
    "numbers": (
        "<input type=number name=a value='1.5'><input type=number name=zero value='0'>"
        "<input type=number name=empty><input type=range name=r min=0 max=10 value=7>",
        {"a": 1.5, "zero": 0, "r": 7},
    ),
    "checkboxes": (
        "<input type=checkbox name=yes checked><input type=checkbox name=no>"
        "<input type=checkbox name=own value=mint checked><input type=checkbox name=other value=lime>"
        "<input type=checkbox name=not value=false checked>",
        {"yes": True, "no": False, "own": "mint", "not": False},
    ),
    "radio": (
        "<input type=radio name=size value=S><input type=radio name=size value=M checked>"
        "<input type=radio name=sure value=true checked><input type=radio name=none value=x>",
        {"size": "M", "sure": True},
    ),
    "the same name": (
        "<input type=checkbox name=c value=a checked><input type=checkbox name=c value=b>"
        "<input type=checkbox name=c value=d checked>"
        "<input name=t value=1><input name=t value=2><input name=t value=3>",
        {"c": ["a", "d"], "t": ["1", "2", "3"]},
    ),
    "select multiple": (
        "<select multiple name=m><option selected>a<option>b<option selected>c</select>"
        "<select multiple name=one><option selected>a</select><select multiple name=none><option>a</select>",
        {"m": ["a", "c"], "one": ["a"], "none": []},
    ),
    "nested names": (
        "<input name='user[name]' value=Ada><input name='user[age]' type=number value=36>"
        "<input name='tags[0]' value=x><input name='tags[1]' value=y><input name='more[]' value=z>",
        {"user": {"name": "Ada", "age": 36}, "tags": ["x", "y"], "more": ["z"]},
    ),
    "fields that are left out": (
        "<input value=unnamed><input name=off value=x disabled><fieldset disabled><input name=in value=x></fieldset>"
        "<input type=submit name=s value=Send><button name=b value=x></button><output name=o>5</output>"
        "<input type=reset name=r value=x><input name=on value=y>",
        {"on": "y"},
    ),
    "names that hide parts of a form": (
        "<input name=elements value=1><input name=nodeName value=2>"
        "<input name=submit value=3><input name=target value=4>",
        {"elements": "1", "nodeName": "2", "submit": "3", "target": "4"},
    ),
    "a file input left empty": ("<input type=file name=photo><input name=a value=x>", {"a": "x"}),
    "no fields": ("", {}),
}


@pytest.mark.parametrize("name", FORMS)
async def test_forms(page: Page, name: str) -> None:
    fields, expected = FORMS[name]
    assert await post(page, f"<form>{fields}</form>") == expected


async def test_a_control_outside_that_belongs_to_the_form(page: Page) -> None:
    html = "<form id=f><input name=a value=1></form><input form=f name=b value=2>"
    assert await post(page, html) == {"a": "1", "b": "2"}


async def test_the_button_that_submits_is_included(page: Page) -> None:
    html = """<form onsubmit="skapi.postRealtime(event, 'HelloWorld')"><input name=a value=1>
        <button name=do value=save>Save</button><button name=do value=drop>Drop</button></form>"""
    await page.evaluate("([html]) => { document.getElementById('here').innerHTML = html }", [html])
    await page.get_by_role("button", name="Drop").click()
    assert await page.evaluate("() => hear()") == {"a": "1", "do": "drop"}


async def test_single_controls_and_form_data(page: Page) -> None:
    html = "<form><input type=number name=n value=4><select name=s><option>x</select><input value=y></form>"
    assert await post(page, html, "() => document.querySelector('input')") == {"n": 4}
    assert await post(page, html, "() => document.querySelector('select')") == {"s": "x"}
    assert await post(page, html, "() => new FormData(document.forms[0])") == {"n": "4", "s": "x"}


async def test_the_event_of_a_control(page: Page) -> None:
    html = """<input name=note onchange="skapi.postRealtime(event, 'HelloWorld')">"""
    await page.evaluate("([html]) => { document.getElementById('here').innerHTML = html }", [html])
    await page.locator("[name=note]").fill("typed")
    await page.locator("[name=note]").press("Enter")
    assert await page.evaluate("() => hear()") == {"note": "typed"}


@pytest.mark.parametrize("what", ["document.forms[0]", "new FormData(document.forms[0])"])
async def test_files_are_rejected(page: Page, what: str) -> None:
    await page.evaluate(
        """() => {
          document.getElementById('here').innerHTML = '<form><input type=file name="user[photo]"></form>';
        }"""
    )
    await page.locator("[type=file]").set_input_files({"name": "me.png", "mimeType": "image/png", "buffer": b"x"})
    error = await page.evaluate(
        f"() => skapi.postRealtime({what}, 'HelloWorld').catch(({{code, message}}) => [code, message])"
    )
    text = '"user[photo]" is a file; files cannot be sent as a realtime message.'
    assert error == ["INVALID_PARAMETER", text]


@pytest.mark.parametrize("name", ["__proto__[polluted]", "a[__proto__][polluted]", "a[99999999]"])
async def test_harmful_names_are_rejected(page: Page, name: str) -> None:
    answer = await post(page, f"<form><input name='{name}' value=1></form>")
    assert answer["code"] == "INVALID_PARAMETER"
    assert name in answer["message"]
    assert await page.evaluate("() => ({}).polluted") is None


async def test_joining_and_searching_by_form(page: Page) -> None:
    found = await page.evaluate(
        """async () => {
          document.getElementById('here').innerHTML =
            '<form><input name=searchFor value=number_of_users><input name=value type=number value=1>' +
            '<input name=condition value=">="></form><form><input name=group value=HelloWorld></form>';
          await skapi.joinRealtime(document.forms[1]);
          return [skapi.group, (await skapi.getRealtimeGroups(document.forms[0])).list];
        }"""
    )
    assert found == ["HelloWorld", [{"group": "HelloWorld", "number_of_users": 1, "number_of_connections": 1}]]
