"""Requests to an app: signed, and what each kind of answer means."""

from __future__ import annotations

import asyncio

import pytest

from hubbub.hooks import verify
from hubbub.http_hooks.answers import BadAnswerError
from hubbub.http_hooks.app import App, AwayError, new_id
from hubbub.http_hooks.breaker import FAILURES, Breaker
from hubbub.http_hooks.pool import Pool
from hubbub.http_hooks.signing import secret_key
from support.hook_app import SECRET
from support.raw_app import RawApp, answer, answers, serve_raw, silence


def make(app: RawApp, url: str | None = None) -> App:
    return App(url or app.url, secret_key(SECRET), Pool(app.url), Breaker())


def headers_of(head: str) -> dict[str, str]:
    lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
    return {name: value for name, _, value in lines}


async def test_a_request_is_signed_and_has_the_forwarded_headers() -> None:
    async with serve_raw(answers(answer(b"{}"))) as raw:
        app = make(raw, raw.url + "?key=1")
        assert await app.ask(b'{"type":"x"}', {"cookie": "a=1", "user-agent": "client"}) == b"{}"
        await app.ask(b"{}", message_id="msg_again")
        app.close()
    (head, body), (second, _) = raw.requests
    assert head.startswith("POST /hubbub?key=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert verify(body, headers_of(head), SECRET) == {"type": "x"}
    assert headers_of(head)["cookie"] == "a=1"
    assert head.lower().count("user-agent") == 1
    assert headers_of(second)["webhook-id"] == "msg_again"
    assert headers_of(second)["User-Agent"] == "hubbub"
    assert new_id() != new_id()


@pytest.mark.parametrize("status", ["300 X", "301 X", "302 Found", "307 X", "308 X"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    async with serve_raw(silence) as target:
        behave = answers(answer(b"", status, f"Location: {target.url}"))
        async with serve_raw(behave) as raw:
            with pytest.raises(BadAnswerError, match="redirect"):
                await make(raw).ask(b"{}")
        assert target.connections == 0


@pytest.mark.parametrize("status", ["400 X", "401 X", "403 X", "404 X", "410 X", "500 X", "501 X"])
async def test_errors_are_bad_answers(status: str) -> None:
    async with serve_raw(answers(answer(b'{"allow":true}', status))) as raw:
        app = make(raw)
        for _ in range(FAILURES + 1):
            with pytest.raises(BadAnswerError, match=status[:3]):
                await app.ask(b"{}")
        assert not app.away  # it is there


@pytest.mark.parametrize("status", ["429 X", "502 X", "503 X", "504 X"])
async def test_statuses_of_an_app_that_is_away(status: str) -> None:
    async with serve_raw(answers(answer(b"", status))) as raw:
        app = make(raw)
        for _ in range(FAILURES):
            with pytest.raises(AwayError) as away:
                await app.ask(b"{}")
            assert away.value.asked
        assert app.away
        with pytest.raises(AwayError) as away:
            await app.ask(b"{}")
        assert not away.value.asked
        assert len(raw.requests) == FAILURES


async def test_a_compressed_answer() -> None:
    async with serve_raw(answers(answer(b"x", "200 OK", "Content-Encoding: gzip"))) as raw:
        with pytest.raises(BadAnswerError, match="gzip"):
            await make(raw).ask(b"{}")


async def test_requests_that_are_given_up_count_as_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with serve_raw(silence) as raw:
        app = make(raw)
        for _ in range(FAILURES):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await app.ask(b"{}")
        assert app.away
        assert "counts as away" in caplog.text
        raw.behave = answers(answer(b"{}"))
        answered = b""
        async with asyncio.timeout(60):
            while not answered:
                try:
                    answered = await app.ask(b"{}")
                except AwayError:
                    await asyncio.sleep(0.05)
        assert "answers again" in caplog.text
        app.close()
