"""Every side ends calls at every step, all at the same time, and nothing is left behind."""

from __future__ import annotations

import asyncio
import random

from tests.support.hall import Missed, model, open_hall
from tests.support.races import MATRIX, Side, Step, race
from tests.support.reception import Reception
from tests.support.sip_outcome import CallRejected

NUMBER = "+31203000001"
SEED = random.SystemRandom().randrange(10**6)
BEGIN_WITHIN_S = 8.0


def expected(step: Step, side: Side) -> tuple[str, str]:
    """What stands in the row of a call that one side ended at a step."""
    agreed = step is Step.REFERRED and side is Side.PHONE  # for who agrees hangs up
    if step is Step.TRANSFERRED or agreed:
        return "transferred", "transferred"
    if step is Step.THEY_RING:
        return "failed", "error" if side is Side.OPERATOR else "no_answer"
    if side is Side.OPERATOR:
        return "ended-with-error", "error"
    by_us = side in (Side.API, Side.MODEL)
    return "ended", "assistant_hangup" if by_us else "user_hangup"


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
                how = row["status"], row["end_reason"]
                not_answered = side is Side.OPERATOR and how == ("failed", "error")
                assert not_answered or how == expected(step, side), how
            except (Missed, CallRejected, TimeoutError, AssertionError) as fault:
                failed.append(f"{step.value}, ended by {side.value}: {fault!r}")

        async with asyncio.TaskGroup() as group:
            for cell in MATRIX:
                group.create_task(one(*cell, chance.uniform(0, BEGIN_WITHIN_S)))
        assert not failed, "\n".join(failed)
        open_rows = await hall.rows.fetchval("SELECT count(*) FROM calls WHERE ended_at IS NULL")
        assert open_rows == 0
