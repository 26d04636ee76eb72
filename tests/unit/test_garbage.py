"""When cycles are looked for."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from sovereign_ari import garbage
from tests.support.virtual_time import run_in_virtual_time


class Cycle:
    def __init__(self) -> None:
        self.self = self


@pytest.mark.parametrize(("calls", "left"), [(0, False), (1, True)])
def test_cycles_are_looked_for_while_no_call_is_live(calls: int, left: bool) -> None:
    async def scene() -> bool:
        looking = asyncio.create_task(garbage.look_when_idle(lambda: calls))
        await asyncio.sleep(0)
        cycle = weakref.ref(Cycle())
        await asyncio.sleep(garbage.LOOK_EVERY_S + 1)
        found = cycle() is not None
        looking.cancel()
        await asyncio.wait([looking])
        return found

    gc.collect()
    before = gc.get_threshold()
    assert run_in_virtual_time(scene()) is left
    assert gc.get_threshold() == before


def test_calls_that_ended_do_not_pile_up_while_others_are_live() -> None:
    async def scene() -> bool:
        looking = asyncio.create_task(garbage.look_when_idle(lambda: 1))
        await asyncio.sleep(0)
        call = Cycle()
        cycle = weakref.ref(call)
        gc.collect(0)  # it lives on, and is no longer young: no look at the young will find it
        del call
        pile: list[list[object]] = []
        for _ in range(garbage.FULL_AFTER_LOOKS):
            pile += [[] for _ in range(garbage.YOUNG_OBJECTS + 100)]
        assert cycle() is not None
        await asyncio.sleep(garbage.LOOK_EVERY_S + 1)
        found = cycle() is not None
        looking.cancel()
        await asyncio.wait([looking])
        return found

    assert run_in_virtual_time(scene()) is False


def test_what_was_there_at_the_start_is_not_looked_at_again() -> None:
    try:
        garbage.set_aside()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
