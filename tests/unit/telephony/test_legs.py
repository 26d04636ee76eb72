"""The further channels of a call: events find them, and nothing of them is left behind."""

from __future__ import annotations

import asyncio

import pytest

from sovereign_ari.domain.ids import leg_name, leg_of
from sovereign_ari.telephony.legs import MOST_WAITING, LegGone
from sovereign_ari.wire.ari_messages import Channel, ChannelStateChange
from tests.support.fake_calling import CALL, FakeCalling
from tests.support.virtual_time import run_in_virtual_time

NAME = "transfer"
CHANNEL = leg_of(CALL, NAME)


def change(state: str) -> ChannelStateChange:
    return ChannelStateChange(type="ChannelStateChange", channel=Channel(id=CHANNEL, state=state))


def test_a_leg_is_named_after_its_call() -> None:
    assert leg_name(CHANNEL) == NAME
    assert leg_name(CALL) is None
    assert leg_name(f"{CALL}-") is None
    assert leg_name("1700000000.1-transfer") is None


def test_events_wait_in_their_order_and_the_end_is_the_last() -> None:
    async def scene() -> None:
        fake = FakeCalling()
        leg = fake.legs.open(NAME)
        fake.end(CHANNEL, 34, 503)  # an older one of this name
        assert not leg.entered.is_set()
        fake.enter(CHANNEL)
        await leg.event()
        for state in ("Ringing", "Up"):
            assert fake.legs.post(CHANNEL, change(state))
        fake.end(CHANNEL, 16, 200)
        states = [(await leg.event()).channel.state for _ in range(2)]  # type: ignore[union-attr]
        assert states == ["Ringing", "Up"]
        for _ in range(2):
            assert await leg.event() == LegGone(16, 200)

    run_in_virtual_time(scene())


def test_a_full_leg_still_learns_of_its_end() -> None:
    async def scene() -> None:
        fake = FakeCalling()
        leg = fake.legs.open(NAME)
        fake.enter(CHANNEL)
        for _ in range(MOST_WAITING + 5):
            fake.legs.post(CHANNEL, change("Up"))
        fake.end(CHANNEL, 17)
        for _ in range(MOST_WAITING):
            await leg.event()
        assert await leg.event() == LegGone(17)

    run_in_virtual_time(scene())


@pytest.mark.parametrize("gone", [False, True])
def test_leaving_a_leg_hangs_up_what_is_still_there(gone: bool) -> None:
    async def scene() -> None:
        fake = FakeCalling()
        async with fake.legs.open(NAME):
            fake.enter(CHANNEL)
            if gone:
                fake.end(CHANNEL, 16)
        assert fake.hung_up == ([] if gone else [(CHANNEL, 16)])
        assert not fake.legs.post(CHANNEL, change("Up")), "nobody listens any more"

    run_in_virtual_time(scene())


def test_the_end_of_the_call_hangs_up_every_leg_but_a_released_one() -> None:
    async def scene() -> None:
        fake = FakeCalling()
        fake.legs.open("a")
        fake.legs.open("b").release()
        await fake.legs.close()
        assert fake.hung_up == [(leg_of(CALL, "a"), 16)]

    run_in_virtual_time(scene())


def test_who_waits_learns_that_asterisk_does_not_list_the_channel() -> None:
    async def scene() -> None:
        leg = FakeCalling().legs.open(NAME)
        waiting = asyncio.create_task(leg.event())
        await asyncio.sleep(1)
        leg.lost()
        assert await waiting == LegGone(0)

    run_in_virtual_time(scene())


def test_a_name_is_open_once() -> None:
    legs = FakeCalling().legs
    legs.open(NAME)
    with pytest.raises(ValueError, match="open already"):
        legs.open(NAME)
