"""What stands in history, transcript and report is what the caller's own recording holds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.interruptions import (
    SPEECH_CONFIG,
    Plan,
    all_at_once,
    greeting,
    kept_messages,
    model,
    next_prompt,
    tell_stories,
)
from tests.support.platform import Json
from tests.support.reception import Reception
from tests.support.webhook_receiver import SECRET, WebhookReceiver, webhook_receiver

REPORT = "end-of-call-report"
CODECS = ("ulaw", "alaw", "g722", "ulaw")
INTERRUPTIONS = 6


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


async def plans(reception: Reception, receiver: WebhookReceiver) -> list[Plan]:
    made = []
    for place, codec in enumerate(CODECS):
        name, ruled = chr(ord("a") + place), place % 2 == 1
        number = await reception.number(
            first_message=greeting(name),
            llm_config=model(name),
            webhook_url=receiver.url,
            webhook_secret=SECRET,
            webhook_events=[REPORT],
            speech_config=SPEECH_CONFIG
            if ruled
            else {"turn_taking": SPEECH_CONFIG["turn_taking"]},
        )
        made.append(Plan(name, number, codec, INTERRUPTIONS, ruled))
    return made


async def test_what_was_heard_stands_everywhere_to_the_word(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    tell_stories(reception.vendor)
    made = await plans(reception, receiver)
    tellings = await all_at_once(reception.phone, made, seed=1)
    assert len(tellings) == len(CODECS) * (INTERRUPTIONS + 1)
    records = {plan.number: await reception.record(plan.number) for plan in made}
    await receiver.wait_for(lambda: len(receiver.of(REPORT)) == len(made), 15)
    reports: dict[str, Json] = {
        one.message["phone_number"]["number"]: one.message for one in receiver.of(REPORT)
    }
    for telling in tellings:
        number = telling.plan.number
        kept = kept_messages(records[number]["messages"], telling)
        assert abs(telling.error(kept)) <= 1, f"{telling}\nkept: {kept}"
        assert kept_messages(reports[number]["messages"], telling) == kept
        if not telling.hung_up:
            assert kept_messages(next_prompt(reception.vendor, telling), telling) == kept
