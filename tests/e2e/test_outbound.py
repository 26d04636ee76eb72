"""People whom the product calls over a trunk, with audio at both ends."""

from __future__ import annotations

import asyncio
import audioop
import time

import pytest

from tests.support.desk import THEM, desk
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
    Plan,
    Refuses,
    Ringing,
    is_dead,
    rings_for_ever,
)
from tests.support.speech_samples import speech

FIRST_WORDS = "Good day, I call about the order that you placed with us."


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
        "+31600000032": (rings_for_ever, "error"),
        "+31600000200": (rings_for_ever, "assistant_hangup"),
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
        given_up, by_hand = "+31600000200", "+31600000032"
        await it.status(calls[by_hand], "ringing")
        shown = await reception.platform.asterisk_cli("core show channels concise")
        [line] = [line for line in shown.splitlines() if f"{calls[by_hand]}-line" in line]
        await reception.platform.asterisk_cli(f"channel request hangup {line.partition('!')[0]}")
        rung = await it.rung(given_up)
        path, cancel = f"/calls/{calls[given_up]}/control", {"type": "cancel"}
        assert (await reception.api.request("POST", path, cancel)).status == 200
        assert await rung.ended(4) == "far end"
        ends = dict.fromkeys(plans, "failed") | {given_up: "ended"}
        ended = {n: await it.status(call, ends[n], timeout_s=12) for n, call in calls.items()}
        assert {number: record["end_reason"] for number, record in ended.items()} == {
            number: reason for number, (_, reason) in plans.items()
        }
        for status in ("486", "603", "404", "503"):
            assert f"SIP {status}" in ended[f"+31600000{status}"]["error"]
        assert all(record["started_at"] is None for record in ended.values())
        cancelled = [call.invite.start_line for call in it.callee.rung if call.was_cancelled]
        assert sorted(line.partition("@")[0] for line in cancelled) == [
            f"INVITE sip:{number}" for number in (by_hand, given_up, "+31600000480")
        ]
        assert "hung up in our PBX" in ended[by_hand]["error"]
        assert ended[given_up]["error"] is None


@pytest.mark.parametrize("after_s", [0.0, 0.4])
async def test_a_callee_may_hang_up_at_once_and_see_no_number(
    reception: Reception, after_s: float
) -> None:
    async with desk(reception) as it:
        it.callee.plan = Answers(after_s=0.1, lasts_s=after_s)
        call_id = await it.call(withhold_caller_id=True)
        record = await it.status(call_id, "ended")
        assert record["end_reason"] == "user_hangup"
        assert record["started_at"] is not None
        call = it.callee.rung[-1]
        assert "anonymous" in call.invite.header("From").lower()
        assert "id" in call.invite.header("Privacy")
