"""Many calls at once, each ended by somebody at some moment, while the PBX answers as it likes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sovereign_ari.control import sweep
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.control import EndCall
from sovereign_ari.domain.ids import CallId, call_id, leg_of, media_channel_of
from sovereign_ari.domain.outbound import PlacedCall
from sovereign_ari.domain.records import CallClosed, CallOpened
from sovereign_ari.speech.base import Token
from tests.support.controller_world import ASSISTANT, World, world
from tests.support.fake_ari import until
from tests.support.scripted_speech import hang_up_call

CALLS = 24
LASTS_S = 0.7
"""From the first ring to the greeting's end takes half of it, so that every step is met."""

TRUNK = "0b6e2f4a-5c1d-4e8f-9a3b-7d2c1e0f9a8b"
OF_A_CALL = ("call ", "talk ", "transfer ", "refuse", "dial")


@pytest.fixture
async def it(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(sweep, "SWEEP_S", 0.3)
    monkeypatch.setattr(sweep, "GRACE_S", 0.2)
    before = descriptors()
    async with world() as it:
        yield it
    try:
        await until(lambda: len(descriptors()) <= len(before))
    except TimeoutError:
        raise AssertionError(f"left open: {descriptors().items() - before.items()}") from None


def descriptors() -> dict[str, str]:
    """What is open, by number."""
    found = {}
    for number in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found[number.name] = str(number.readlink())
    return found


def place(it: World, number: int) -> CallId:
    """Call somebody."""
    made = call_id("outbound", number, number)
    it.pbx.called += 1
    it.controller.place(
        PlacedCall(
            call_id=made,
            at=datetime.now(UTC),
            destination="+31612345678",
            number="+31201234567",
            shown="+31201234567",
            withheld=False,
            route=Route("o", "n", ASSISTANT),
            trunk_id=TRUNK,
            addresses=("a.example.com", "b.example.com"),
            ring_s=0.4,
        )
    )
    return made


def let_them_answer(it: World, chance: random.Random) -> None:
    """Have each of those whom we call do something else."""

    async def callee(channel: str) -> None:
        await asyncio.sleep(chance.uniform(0, 0.1))
        match chance.randrange(4):
            case 0:
                await it.pbx.refuse_call(channel, *chance.choice(((17, 486), (34, 503), (1, 404))))
            case 1:
                await it.pbx.change(channel, "Ringing")
            case _:
                await it.pbx.change(channel, "Ringing")
                await asyncio.sleep(chance.uniform(0, 0.2))
                await it.pbx.change(channel, "Up")

    it.pbx.callee = callee


def end(it: World, chance: random.Random, call: CallId, channel: str) -> None:
    """Have one side end a call; what is not there then cannot be ended by it."""
    match chance.choice(("telephone", "operator", "media", "api", "model", "nobody")):
        case "telephone":
            it.pbx._later(it.pbx.hang_up(channel))
        case "operator":
            it.pbx._later(it.pbx.hang_up(channel, 32))
        case "media":
            it.pbx._later(it.pbx.hang_up(media_channel_of(call)))
        case "api":
            it.controller.control(call, EndCall())
        case "model":
            if it.stt.streams:
                it.stt.say("goodbye")
        case _:
            pass


async def one_call(it: World, chance: random.Random, number: int) -> None:
    """Have a call, in one direction or the other, and end it at some moment."""
    await asyncio.sleep(chance.uniform(0, LASTS_S))
    if chance.random() < 0.5:
        call = place(it, number)
        channel: str = leg_of(call, "line")
    else:
        channel = f"c{number}"
        known = set(it.controller.call_ids())
        await it.pbx.call(channel)
        await until(lambda: channel in it.controller._by_channel)
        call = it.controller._by_channel[channel].id
        assert call not in known
    await asyncio.sleep(chance.uniform(0, LASTS_S))
    end(it, chance, call, channel)


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_left_of_calls_that_anybody_ends_at_any_moment(
    it: World, seed: int
) -> None:
    chance = random.Random(seed)
    it.pbx.late_s = lambda: chance.choice((0.0, 0.0, chance.uniform(0, 0.06)))
    it.answers = lambda _: [Token("So long."), hang_up_call()]
    let_them_answer(it, chance)
    async with asyncio.TaskGroup() as group:
        for number in range(CALLS):
            group.create_task(one_call(it, chance, number))
    await it.controller.drain(0.3)
    await it.all_ended()
    assert len({closed.call_id for closed in it.of(CallClosed)}) == CALLS
    assert len({opened.call_id for opened in it.of(CallOpened)}) == CALLS
    left = [task.get_name() for task in asyncio.all_tasks()]
    assert not [name for name in left if name.startswith(OF_A_CALL)]
