from __future__ import annotations

import asyncio
import time
from urllib.parse import quote

import pytest

from tests.support.platform import Json
from tests.support.reception import Reception, hear_tones, said, say_tones
from tests.support.sip_caller import Line

pytestmark = pytest.mark.alone  # what it listens for is there only on a machine with time to spare

CALLS = 10
CROWD = 100
WRITTEN_WITHIN_S = 20.0


async def test_ten_calls_at_once_do_not_disturb_each_other(reception: Reception) -> None:
    number = await reception.number()

    async def one(index: int) -> None:
        async with reception.phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            spoken_s = await say_tones(call, f"caller {index}")
            begun_s = await hear_tones(call, f"You said: caller {index}", spoken_s)
            ended_s = await call.heard.wait_for_silence(0.4, 5)
            assert call.heard.holes(begun_s + 0.02, ended_s - 0.02, buffer_s=1.0) == []
            assert call.heard.order.lost == 0

    async with asyncio.TaskGroup() as group:
        for index in range(CALLS):
            group.create_task(one(index))

    calls = await reception.all_ended(number, CALLS)
    assert len({call["id"] for call in calls}) == CALLS
    words = sorted(said(call)[1][1] for call in calls)
    assert words == [f"caller {index}" for index in range(CALLS)]


async def test_a_hundred_calls_at_once_are_all_answered_and_written_down(
    reception: Reception,
) -> None:
    """They send no packets: two processors are to carry the calls, not our telephones."""
    number = await reception.number()
    everybody = asyncio.Barrier(CROWD)

    async def one() -> None:
        async with reception.phone.call(number, line=Line(dtx=True)) as call:
            await call.answered(20)
            await call.heard.wait_for_audio(call.answered_at_s, 20)
            async with asyncio.timeout(30):
                await everybody.wait()
            assert call.live

    async with asyncio.TaskGroup() as group:
        for _ in range(CROWD):
            group.create_task(one())

    query = f"/calls?limit={2 * CROWD}&phone_number={quote(number)}"
    deadline = time.monotonic() + WRITTEN_WITHIN_S
    calls = await rows(reception, query)
    while not all(call["ended_at"] for call in calls):
        assert time.monotonic() < deadline, "some calls do not end"
        await asyncio.sleep(0.2)
        calls = await rows(reception, query)
    assert len({call["id"] for call in calls}) == CROWD
    assert {(call["status"], call["end_reason"]) for call in calls} == {("ended", "user_hangup")}


async def rows(reception: Reception, query: str) -> list[Json]:
    return list((await reception.api.get(query))["calls"])


async def test_calls_that_come_and_go_leave_nothing(reception: Reception) -> None:
    number = await reception.number()

    async def one(delay_s: float) -> None:
        async with reception.phone.call(number) as call:
            await asyncio.sleep(delay_s)
            await call.hang_up()

    async with asyncio.TaskGroup() as group:
        for index in range(20):
            group.create_task(one(index * 0.01))
