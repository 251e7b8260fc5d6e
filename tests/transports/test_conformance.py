"""The Autobahn cases for RFC 6455, run by a client that is not ours against our own listener."""

from __future__ import annotations

from collections import Counter

import kosoku
from echo import echoing

CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
"""All but 9, which measures speed, and 12 and 13, which are about compression: we do not offer it."""


async def test_the_autobahn_cases() -> None:
    async with echoing() as server:
        results = await kosoku.run_fuzzingclient(server.url.replace("http", "ws", 1) + "/v1/connect", CASES)
    assert len(results) == 247
    verdicts = Counter(result.behavior.value for result in results)
    assert set(verdicts) <= {"OK", "NON-STRICT", "INFORMATIONAL"}
    print(verdicts, Counter(result.behavior_close.value for result in results))
