"""One limit for many waits: each is cut at its own time, and none by that of another."""

from __future__ import annotations

import asyncio

import pytest

from sovereign_ari.speech.patience import Patience
from tests.support.virtual_time import run_in_virtual_time


async def _lasts(patience: Patience, limit_s: float, work_s: float) -> float | None:
    """How long it took to give up; None when the work was done."""
    now = asyncio.get_running_loop().time
    began_s = now()
    try:
        with patience.of(limit_s):
            await asyncio.sleep(work_s)
    except TimeoutError:
        return now() - began_s
    return None


@pytest.mark.parametrize("before_s", [0.0, 0.5, 2.9, 3.1, 10.0])
def test_each_wait_ends_at_its_own_limit(before_s: float) -> None:
    async def scene() -> list[float | None]:
        patience = Patience()
        first = await _lasts(patience, 3.0, 1.0)
        await asyncio.sleep(before_s)
        return [first, await _lasts(patience, 3.0, 5.0), await _lasts(patience, 3.0, 2.9)]

    first, slow, quick = run_in_virtual_time(scene())
    assert (first, quick) == (None, None)
    assert slow == pytest.approx(3.0)


def test_a_shorter_limit_is_kept_behind_a_longer_one() -> None:
    async def scene() -> list[float | None]:
        patience = Patience()
        return [await _lasts(patience, limit_s, 20.0) for limit_s in (5.0, 0.5, 8.0, 0.0)]

    assert run_in_virtual_time(scene()) == [pytest.approx(s) for s in (5.0, 0.5, 8.0, 0.0)]


def test_short_waits_one_after_the_other_are_none_too_long() -> None:
    async def scene() -> int:
        patience = Patience()
        for _ in range(100):
            assert await _lasts(patience, 1.0, 0.7) is None
        return 1

    assert run_in_virtual_time(scene()) == 1


def test_who_is_cancelled_while_he_waits_is_cancelled() -> None:
    async def scene() -> bool:
        waiting = asyncio.create_task(_lasts(Patience(), 1.0, 20.0))
        await asyncio.sleep(0.5)
        waiting.cancel()
        await asyncio.wait((waiting,))
        return waiting.cancelled()

    assert run_in_virtual_time(scene())


def test_a_fault_of_the_work_is_passed_on_and_the_next_wait_is_whole() -> None:
    async def fail(patience: Patience) -> None:
        with patience.of(1.0):
            await asyncio.sleep(0.9)
            raise ZeroDivisionError

    async def scene() -> float | None:
        patience = Patience()
        with pytest.raises(ZeroDivisionError):
            await fail(patience)
        return await _lasts(patience, 1.0, 20.0)

    assert run_in_virtual_time(scene()) == pytest.approx(1.0)
