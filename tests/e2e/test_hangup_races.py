"""Every side ends calls at every step, all at the same time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import random

from tests.support.hall import Missed, model, open_hall
from tests.support.races import MATRIX, Side, Step, race, went_as_expected
from tests.support.reception import Reception
from tests.support.sip_outcome import CallRejected

NUMBER = "+31203000001"
SEED = random.SystemRandom().randrange(10**6)
BEGIN_WITHIN_S = 8.0


async def test_whoever_hangs_up_and_whenever_nothing_is_left_of_a_call(
    reception: Reception,
) -> None:
    print(f"seed {SEED}")  # noqa: T201  # shown when the test fails: the order can be had again
    chance = random.Random(SEED)
    reception.vendor.reply = model
    failed: list[str] = []

    async with open_hall(reception.platform, reception.api, NUMBER, chance) as hall:

        async def one(step: Step, side: Side, begin_s: float) -> None:
            await asyncio.sleep(begin_s)
            try:
                row = await race(hall, step, side)
                assert went_as_expected(row, step, side), row
            except (Missed, CallRejected, TimeoutError, AssertionError) as fault:
                failed.append(f"{step.value}, ended by {side.value}: {fault!r}")

        async with asyncio.TaskGroup() as group:
            for cell in MATRIX:
                group.create_task(one(*cell, chance.uniform(0, BEGIN_WITHIN_S)))
        assert not failed, "\n".join(failed)
        open_rows = await hall.rows.fetchval("SELECT count(*) FROM calls WHERE ended_at IS NULL")
        assert open_rows == 0
