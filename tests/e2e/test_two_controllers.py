"""Two controllers on one node: when one dies, the other goes on with its calls."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import asyncpg

from sovereign_ari.conversation.own_words import ENGLISH
from tests.support.fake_openai import FakeOpenAI
from tests.support.fake_openai_chat import repeat_back
from tests.support.platform import Platform, running_platform, until_ready
from tests.support.reception import hear_tones, open_reception, said, say_tones

ADOPTED_WITHIN_S = 20.0  # on a loaded machine
RESTARTS_WITHIN_S = 60.0
SORRY = ENGLISH.where_were_we


async def owner_of(platform: Platform, call_id: str) -> str:
    connection = await asyncpg.connect(platform.ready["database_url"])
    try:
        return str(
            await connection.fetchval("SELECT controller FROM calls WHERE id = $1", call_id)
        )
    finally:
        await connection.close()


async def all_are_ready(platform: Platform, name: str, killed: int) -> None:
    """Wait until a killed process has a successor, and every controller its events."""
    async with asyncio.timeout(RESTARTS_WITHIN_S):
        while platform.pids.get(name) in (killed, None):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        for url in platform.ready["controller_urls"]:
            await until_ready(url)


async def test_the_other_controller_of_the_node_goes_on_with_a_call(vendor: FakeOpenAI) -> None:
    vendor.reply = repeat_back
    env = {
        "OPENAI_API_KEY": "a-key-of-the-tests",
        "OPENAI_BASE_URL": vendor.base_url,
        "SOVEREIGN_OUTGOING_ALLOW": "127.0.0.0/8",
        "SOVEREIGN_CONTROLLERS": "2",
    }
    async with running_platform(env) as platform, open_reception(platform, vendor) as reception:
        number = await reception.number()
        async with reception.phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            live = await reception.record(number, lambda found: found["status"] == "in-progress")
            first = await owner_of(platform, live["id"])
            name = first.replace("sovereign", "controller")
            killed = platform.pids[name]
            os.kill(killed, signal.SIGKILL)
            killed_s = time.monotonic()
            await hear_tones(call, SORRY, killed_s, timeout_s=ADOPTED_WITHIN_S)
            second = await owner_of(platform, live["id"])
            assert {first, second} == {"sovereign", "sovereign-2"}
            await all_are_ready(platform, name, killed)
            spoken_s = await say_tones(call, "Bob")  # the one that came back has left him alone
            await hear_tones(call, "You said: Bob", spoken_s)
            assert await owner_of(platform, live["id"]) == second
        record = await reception.record(number)
        assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
        assert said(record) == [
            ("assistant", "Hello"),
            ("assistant", SORRY),
            ("user", "Bob"),
            ("assistant", "You said: Bob"),
        ]
