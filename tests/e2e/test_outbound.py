"""People whom the product calls over a trunk, with audio at both ends."""

from __future__ import annotations

import asyncio
import audioop
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.platform import Json
from tests.support.reception import (
    Reception,
    hear_tones,
    heard_since,
    said,
    say_tones,
)
from tests.support.sip_callee import (
    Answers,
    Callee,
    Plan,
    Refuses,
    Ringing,
    is_dead,
    rings_for_ever,
)
from tests.support.speech_samples import speech

FORGOTTEN_WITHIN_S = 8.0  # how many calls go over a trunk is looked at now and then
THEM = "+31612345678"
FIRST_WORDS = "Good day, I call about the order that you placed with us."


class Desk:
    """A number with a trunk to a telephone of ours, and an assistant that calls from it."""

    def __init__(self, reception: Reception, callee: Callee, ids: Mapping[str, str]) -> None:
        self.reception = reception
        self.callee = callee
        self.ids = ids

    async def call(self, destination: str = THEM, **more: Any) -> str:
        body = {"destination": destination, **self.ids, **more}
        made = await self.reception.api.create("/calls/outbound", body)
        assert made["status"] == "dialing"
        return str(made["call_id"])

    async def status(self, call_id: str, *wanted: str, timeout_s: float = 8.0) -> Json:
        """Wait until a call has one of these statuses."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            found = await self.reception.api.get(f"/calls/{call_id}")
            if found["status"] in wanted:
                return found
            assert loop.time() < deadline, found
            await asyncio.sleep(0.3)


@asynccontextmanager
async def desk(reception: Reception, **assistant: Any) -> AsyncIterator[Desk]:
    """Open one, with a trunk just made: it can be called over from the first moment on."""
    async with await Callee.open("127.0.0.1") as callee:
        number = await reception.number(**assistant)
        host, port = callee.address
        trunk = await reception.api.create(
            "/sip-trunks", {"name": "Callee", "provider": "test", "address": f"{host}:{port}"}
        )
        trunk_id = trunk["trunk"]["id"]
        [found] = [
            each
            for each in (await reception.api.get("/numbers"))["numbers"]
            if each["phone_number"] == number
        ]
        await reception.api.change(f"/numbers/{found['id']}", {"transfer_trunk_id": trunk_id})
        ids = {"number_id": found["id"], "assistant_id": found["assistant_id"]}
        yield Desk(reception, callee, ids)
        await reception.api.change(f"/numbers/{found['id']}", {"transfer_trunk_id": None})
        async with asyncio.timeout(FORGOTTEN_WITHIN_S):
            removed = f"/sip-trunks/{trunk_id}"
            while (await reception.api.request("DELETE", removed)).status == 409:  # noqa: ASYNC110
                await asyncio.sleep(0.3)


def told_and_said(messages: list[Json], _tools: list[Json]) -> str:
    told = [str(message["content"]) for message in messages if message["role"] != "assistant"]
    return " ".join(told)


async def test_whoever_answers_is_greeted_and_talked_to(reception: Reception) -> None:
    reception.vendor.reply = told_and_said
    async with desk(reception) as it:
        it.callee.plan = Answers(after_s=1.5, progress=183)
        begun_s = time.monotonic()
        call_id = await it.call(first_message="Good day", context="Order 42")
        call = await it.callee.latest()
        await it.status(call_id, "ringing")
        early = {"type": "end-call"}
        refused = await reception.api.request("POST", f"/calls/{call_id}/control", early)
        assert refused.status == 400
        async with asyncio.timeout(5):
            while not call.answered_at_s:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        greeted_s = await hear_tones(call, "Good day", begun_s)  # type: ignore[arg-type]
        assert 0 <= greeted_s - call.answered_at_s < 0.5, "not before the answer, and at once"
        spoken_s = await say_tones(call, "yes")  # type: ignore[arg-type]
        await hear_tones(call, "Order 42 yes", spoken_s)  # type: ignore[arg-type]
        await it.status(call_id, "in-progress")
        body = {"type": "end-call", "message": "So long"}
        answer = await reception.api.request("POST", f"/calls/{call_id}/control", body)
        assert answer.status == 200
        assert await call.ended(5) == "far end"
        assert heard_since(call, spoken_s)[-1] == "So long"  # type: ignore[arg-type]
        record = await it.status(call_id, "ended")
    assert (record["end_reason"], record["error"]) == ("assistant_hangup", None)
    assert (record["direction"], record["caller_phone"]) == ("outbound", THEM)
    assert record["assistant_phone"] in call.invite.header("From")
    assert call.invite.start_line.startswith(f"INVITE sip:{THEM}@")
    assert said(record)[:2] == [("assistant", "Good day"), ("user", "yes")]
    kinds = [event["kind"] for event in (await reception.timeline(record))["events"]]
    assert kinds[:2] == ["dial_progress", "dialled"]


async def test_a_hello_over_our_first_words_does_not_cut_them(reception: Reception) -> None:
    reception.vendor.realtime.recognise = lambda pcm: "Hello?" if audioop.rms(pcm, 2) > 100 else ""
    async with desk(reception) as it:
        it.callee.plan = Answers(after_s=0.1)
        call_id = await it.call(first_message=FIRST_WORDS)
        call = await it.callee.latest()
        begun_s = await call.heard.wait_for_audio(0.0, 5)
        await call.say(speech("hello?"))
        await call.heard.wait_for_audio(begun_s + 2.0, 5)
        await call.heard.wait_for_silence(1.0, 8)
        body = {"type": "end-call"}
        answer = await reception.api.request("POST", f"/calls/{call_id}/control", body)
        assert answer.status == 200
        record = await it.status(call_id, "ended")
    assert said(record)[0] == ("assistant", FIRST_WORDS)
    timeline = await reception.timeline(record)
    resumed = [
        e["detail"]["cause"] for e in timeline["events"] if e["kind"] == "false_interruption"
    ]
    assert resumed == ["greeting"]


async def test_why_nobody_answered_is_told(reception: Reception) -> None:
    plans: dict[str, tuple[Plan, str]] = {
        "+31600000486": (Refuses(486), "busy"),
        "+31600000603": (Refuses(603, after_s=0.3), "declined"),
        "+31600000404": (Refuses(404), "unreachable"),
        "+31600000503": (Refuses(503), "unreachable"),
        "+31600000302": (
            Refuses(302, headers=(("Contact", "<sip:1000@127.0.0.1:5060>"),)),
            "unreachable",
        ),
        "+31600000480": (rings_for_ever, "no_answer"),
        "+31600000408": (is_dead, "unreachable"),
    }

    async def by_number(call: Ringing) -> None:
        number = call.invite.start_line.partition("sip:")[2].partition("@")[0]
        await plans[number][0](call)

    async with desk(reception) as it:
        it.callee.plan = by_number
        calls = {}
        for number in plans:
            calls[number] = await it.call(number, ring_timeout_seconds=5)
            await asyncio.sleep(0.25)  # the organisation may begin five in a second
        ended = {n: await it.status(call, "failed", timeout_s=12) for n, call in calls.items()}
        assert {number: record["end_reason"] for number, record in ended.items()} == {
            number: reason for number, (_, reason) in plans.items()
        }
        for status in ("486", "603", "404", "503"):
            assert f"SIP {status}" in ended[f"+31600000{status}"]["error"]
        assert all(record["started_at"] is None for record in ended.values())
        cancelled = [call.invite.start_line for call in it.callee.rung if call.was_cancelled]
        assert [line.partition("@")[0] for line in cancelled] == ["INVITE sip:+31600000480"]


@pytest.mark.parametrize("after_s", [0.0, 0.4])
async def test_a_callee_may_hang_up_at_once_and_see_no_number(
    reception: Reception, after_s: float
) -> None:
    async with desk(reception) as it:
        it.callee.plan = Answers(after_s=0.1, lasts_s=after_s)
        call_id = await it.call(withhold_caller_id=True)
        record = await it.status(call_id, "ended")
        assert record["end_reason"] == "user_hangup"
        call = it.callee.rung[-1]
        assert "anonymous" in call.invite.header("From").lower()
        assert "id" in call.invite.header("Privacy")
