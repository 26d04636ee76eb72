from __future__ import annotations

import asyncio

import pytest

from tests.support.reception import Reception, hear_tones, said, say_tones

pytestmark = pytest.mark.alone  # what it listens for is there only on a machine with time to spare

CALLS = 10


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


async def test_calls_that_come_and_go_leave_nothing(reception: Reception) -> None:
    number = await reception.number()

    async def one(delay_s: float) -> None:
        async with reception.phone.call(number) as call:
            await asyncio.sleep(delay_s)
            await call.hang_up()

    async with asyncio.TaskGroup() as group:
        for index in range(20):
            group.create_task(one(index * 0.01))
