"""What a test of calls holds in its hands: the product, its API, a vendor and a telephone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

import asyncpg

from db.keys import create_key
from tests.support import tone_code
from tests.support.fake_openai import FakeOpenAI
from tests.support.platform import ApiClient, Json, Platform
from tests.support.recognise import as_text, tones_heard
from tests.support.sip_call import Call
from tests.support.sip_caller import SipCaller

END_CALL_TOOL: Json = {"type": "end_call"}
_RECORD_TIMEOUT_S = 8.0
_POLL_S = 0.15
_QUIET_S = 0.1
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Reception:
    """Everything a test of calls needs.

    Attributes:
        platform: The running product.
        api: Its API, with a key of this test's own, so that rate limits do not add up.
        vendor: The language and speech provider.
        phone: Our telephone.
    """

    platform: Platform
    api: ApiClient
    vendor: FakeOpenAI
    phone: SipCaller

    async def number(self, **assistant: object) -> str:
        """Create an assistant with these fields, and a number of its own to call it at."""
        body: Json = {"name": f"Test {uuid4().hex[:8]}", "first_message": "Hello", **assistant}
        made = (await self.api.create("/assistants", body))["assistant"]
        number = f"+31201{next(_numbers):06d}"
        await self.api.create("/numbers", {"phone_number": number, "assistant_id": made["id"]})
        return number

    async def record(
        self, number: str, until: Callable[[Json], bool] = lambda call: bool(call["ended_at"])
    ) -> Json:
        """Wait until the newest call to `number` satisfies `until`, by default that it ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _RECORD_TIMEOUT_S
        while True:
            calls = await self.calls(number)
            if calls and until(calls[0]):
                return await self.api.get(f"/calls/{calls[0]['id']}")
            assert loop.time() < deadline, f"{number}: {as_text(calls[:1])}"
            await asyncio.sleep(_POLL_S)

    async def calls(self, number: str) -> list[Json]:
        """List the calls to a number, the newest first."""
        listed = await self.api.get(f"/calls?phone_number={quote(number)}")
        return list(listed["calls"])

    async def all_ended(self, number: str, count: int) -> list[Json]:
        """Wait until exactly `count` calls to a number are recorded and have ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _RECORD_TIMEOUT_S
        while True:
            calls = await self.calls(number)
            if len(calls) == count and all(call["ended_at"] for call in calls):
                return calls
            assert loop.time() < deadline, f"{len(calls)} of {count} calls: {as_text(calls)}"
            await asyncio.sleep(_POLL_S)

    async def timeline(self, call: Json) -> Json:
        """Read the per-turn record of a call."""
        return await self.api.get(f"/calls/{call['id']}/timeline")


def said(call: Json) -> list[tuple[str, str]]:
    """Transcript of a call as (role, words), without the system prompt."""
    messages = call["messages"] or []
    return [(m["role"], m["content"]) for m in messages if m["role"] != "system"]


async def say_tones(call: Call, text: str) -> float:
    """Say a text that the vendor's recogniser can read; returns when the last packet left."""
    rate_hz = call.heard.rate_hz
    return await call.say(tone_code.encode(text, rate_hz), rate_hz)


async def hear_tones(call: Call, text: str, after_s: float, timeout_s: float = 8.0) -> float:
    """Wait until the agent has said `text` after `after_s` and is quiet; returns when it began.

    Raises:
        AssertionError: Naming what was heard instead.
    """
    begun_s = await call.heard.wait_for_audio(after_s, timeout_s)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    wanted = tone_code.literal(text)
    while wanted not in (heard := heard_since(call, after_s)):
        assert loop.time() < deadline, f"heard {heard} instead of {wanted!r}"
        await asyncio.sleep(_POLL_S)
    await call.heard.wait_for_silence(_QUIET_S, timeout_s)
    return begun_s


def heard_since(call: Call, after_s: float) -> list[str]:
    """Read every text the agent completed after `after_s`."""
    packets = call.heard.packets
    end_s = packets[-1].arrived_s + 0.02 if packets else after_s
    return tones_heard(call.heard, after_s, end_s)


@asynccontextmanager
async def open_reception(platform: Platform, vendor: FakeOpenAI) -> AsyncIterator[Reception]:
    """Prepare one test: a key of its own and a telephone."""
    connection = await asyncpg.connect(platform.ready["database_url"])
    try:
        owner = await connection.fetchval("SELECT id FROM organisations WHERE is_operator")
        _, key = await create_key(connection, str(owner), name=f"test {uuid4().hex[:8]}")
    finally:
        await connection.close()
    async with platform.api(key) as api, SipCaller(platform.sip) as phone:
        yield Reception(platform, api, vendor, phone)
