"""A telephone of our own that asks the PBX, by REFER, to send the other side elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.test_transfers import hear_each_other, model, transferring
from tests.support.reception import Reception, hear_tones, say_tones
from tests.support.sip_call import Call
from tests.support.sip_caller import SipCaller
from tests.support.sip_human import Human
from tests.support.tone_code import encode


def notified(call: Call) -> list[str]:
    return [one.body.decode() for one in call.requests if one.method == "NOTIFY"]


async def told(call: Call, outcome: str) -> None:
    """Wait until a NOTIFY says what became of a REFER."""
    async with asyncio.timeout(5):
        while not any(outcome in said for said in notified(call)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def instead_of(call: Call, host: str) -> str:
    """Name a call for a `Refer-To` with Replaces (RFC 3891)."""
    named = f"{call.dialog_id[0]};to-tag={call.dialog_id[1]};from-tag={call.dialog_id[2]}"
    return f"sip:desk@{host}?Replaces={quote(named, safe='')}"


@pytest.fixture
def password(reception: Reception) -> str:
    return Path(reception.platform.ready["softphone_password_file"]).read_text().strip()


@asynccontextmanager
async def phone_and_desk(
    reception: Reception, password: str
) -> AsyncIterator[tuple[SipCaller, Human, str]]:
    """A phone with an account, a human, and a number whose assistant puts through to him."""
    async with (
        await Human.open("127.0.0.1") as human,
        SipCaller(reception.platform.sip, user="softphone", password=password) as phone,
    ):
        number = await reception.number(
            llm_config=model({"type": "sip", "number": human.uri, "description": "Desk"})
        )
        reception.vendor.reply = transferring
        yield phone, human, number


async def test_a_phone_sends_whom_it_was_joined_with_to_another_number_of_ours_only(
    reception: Reception, password: str
) -> None:
    other = await reception.number(first_message="Second desk")
    async with phone_and_desk(reception, password) as (phone, human, number):
        async with phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            assert await call.refer(f"sip:{other}@{reception.platform.sip[0]}") == 202
            await told(call, "603")
            spoken_s = await say_tones(call, "ok")
            await hear_tones(call, "You said: ok", spoken_s)
            await say_tones(call, "put me through")
            joined = await human.called()
            assert (await reception.record(number))["status"] == "transferred"
            await hear_each_other(call, joined, "here")
            assert await call.refer("sip:somebody@example.com") == 202
            await told(call, "404")
            await hear_each_other(call, joined, "still")
            assert await call.refer(f"sip:{other}@{reception.platform.sip[0]}") == 202
            await told(call, "200")
            await hear_tones(joined, "Second desk", joined.answered_at_s)  # type: ignore[arg-type]
            await joined.hang_up()
    record = await reception.record(other)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")


async def test_a_phone_joins_a_human_with_the_assistant_on_its_other_line(
    reception: Reception, password: str
) -> None:
    other = await reception.number(first_message="Second desk")
    host = reception.platform.sip[0]
    async with phone_and_desk(reception, password) as (phone, human, number):
        async with phone.call(number) as call, phone.call(other) as second:
            await hear_tones(call, "Hello", await call.answered())
            await hear_tones(second, "Second desk", await second.answered())
            assert await call.refer(instead_of(second, host)) == 202
            await told(call, "603")
            await say_tones(call, "put me through")
            joined = await human.called()
            assert (await reception.record(number))["status"] == "transferred"
            assert await call.refer(instead_of(second, host)) == 202
            await told(call, "200")
            assert (await second.ended(timeout_s=3)).by == "far end"
            await hear_tones(joined, "Second desk", joined.answered_at_s)  # type: ignore[arg-type]
            asked_s = await joined.say(encode("thanks", 8000))
            await hear_tones(joined, "You said: thanks", asked_s)  # type: ignore[arg-type]
            await joined.hang_up()
    for record in await reception.all_ended(other, 2):
        assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
