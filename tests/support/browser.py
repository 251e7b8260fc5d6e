"""For tests in a browser: Chromium, and users who operate the demo page like people do."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, async_playwright, expect

from hubbub.server import Server
from support.clients import Peer
from support.waiting import PATIENCE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The path of the browser; None if there is none."""
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="!!! no Chromium here: make browser installs it")
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}

expect.set_options(timeout=PATIENCE * 1000)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start Chromium, without its sandbox, which needs rights that containers lack. Only our own pages are opened."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=PATIENCE * 1000
        )
        yield browser
        await browser.close()


class Person:
    """A user of the page, with an own browser profile.

    Attributes:
        complaints: Errors and warnings on the console, including policy violations, and uncaught exceptions.
    """

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._console)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    @property
    def text(self) -> Locator:
        """The field for new messages."""
        return self.page.get_by_role("textbox", name="message")

    @property
    def log(self) -> Locator:
        """The log of messages."""
        return self.page.get_by_role("log")

    @property
    def people(self) -> Locator:
        """The users in the group, one item each."""
        return self.page.get_by_role("list", name="People in this group").get_by_role("listitem")

    @property
    def groups(self) -> Locator:
        """The groups in the list, one item each."""
        return self.page.get_by_role("list", name="Groups found").get_by_role("listitem")

    @property
    def private_rows(self) -> Locator:
        """The private conversations in the list, one item each."""
        return self.page.get_by_role("list", name="Private messages").get_by_role("listitem")

    def message(self, text: str) -> Locator:
        """The message with this text."""
        return self.log.get_by_role("article").filter(has=self.page.get_by_text(text, exact=True))

    async def enter(self, group: str = "lobby") -> None:
        """Fill in the name and a group, and join."""
        await self.page.get_by_label("Your name").fill(self.name)
        await self.page.get_by_label("Group", exact=False).first.fill(group)
        await self.page.get_by_role("button", name="Join the group").click()
        await expect(self.text).to_be_focused()

    async def say(self, text: str) -> None:
        """Send a message to the current recipient."""
        await self.text.fill(text)
        await self.text.press("Enter")

    async def says_it_is_in(self, name: str) -> None:
        """Wait until the heading names this group or user."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(name)

    async def scroll_back_to(self, text: str) -> None:
        """Scroll up, again and again, until the log shows the message with this text."""
        for _ in range(20):
            if await self.message(text).count():
                return
            shown = await self.log.get_by_role("article").count()
            await self.log.evaluate("(log) => { log.scrollTop = 0; }")
            await expect(self.log.get_by_role("article")).not_to_have_count(shown)
        raise AssertionError(f"scrolling back does not show {text!r}")

    async def sees_people(self, *names: str) -> None:
        """Wait until the page lists exactly these users, the own name first, then by name."""
        await expect(self.people.locator("bdi")).to_have_text(list(names))


async def come(browser: Browser, url: str, name: str, viewport: dict[str, int] | None = None, **options: Any) -> Person:
    """Open the page at `url` in a new profile."""
    context = await browser.new_context(viewport=viewport or DESKTOP, locale="en-GB", **options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE * 1000)
    person = Person(await context.new_page(), name)
    await person.page.goto(url)
    return person


Visit = Callable[..., Awaitable[Person]]
"""Open the demo page as a user: ``visit(name, path="/", at=server, **options)``."""
StartServer = Callable[..., Awaitable[Server]]
"""Start a server with these settings."""
JoinPeer = Callable[..., Awaitable[Peer]]
"""Connect a user without a browser: ``join_peer(guest, group, at=server)``."""


# --- JavaScript that checks the page ---

SHOWS_FOCUS = """() => {
  const focused = document.activeElement; // the document itself, between the last and the first
  const seen = focused.matches('[type=radio]') ? focused.nextElementSibling : focused;
  return focused === document.body || getComputedStyle(seen).outlineStyle !== 'none';
}"""
"""Whether the focused element, or the label that represents it, has an outline."""

SPILLS = """() => [...document.querySelectorAll('button, input, textarea, .bubble, .name, h1, p')]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.matches('.unseen, .switch *'))
  .filter((each) => { const { left, right, width } = each.getBoundingClientRect();
                      return width > 1 && (left < 0 || right > innerWidth); })
  .map((each) => each.outerHTML)"""
"""The visible elements that extend beyond the left or right edge of the window."""

PALE = """() => {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const ground = (each) => {
    for (; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
  };
  // WCAG 2.2, "relative luminance" and "contrast ratio"
  const luminance = (colour) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, index) => {
    const part = colour[index] / 255;
    return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  }, 0);
  const contrast = (each) => {
    const [dark, light] = [rgba(getComputedStyle(each).color), ground(each)].map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const texts = [...document.querySelectorAll('body *')].filter((each) => each.checkVisibility() &&
    [...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()));
  if (texts.length < 10) throw new Error('looked at too little');
  return texts.filter((each) => contrast(each) < 4.5).map((each) => `${each.outerHTML} ${contrast(each)}`);
}"""
"""The visible texts with a contrast to their background under 4.5 (WCAG 2.2, 1.4.3, level AA)."""
