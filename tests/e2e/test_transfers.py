"""Callers who are put through to somebody else, with audio at both ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import suppress
from typing import Any

import aiohttp

from sovereign_ari.control.sweep import GRACE_S
from tests.support.fake_openai import Call as ToolCall
from tests.support.reception import (
    Reception,
    hear_tones,
    heard_since,
    say_tones,
)
from tests.support.sip_call import Call
from tests.support.sip_human import Answered, Human
from tests.support.tone_code import encode

CARRIER = "127.0.0.6"
ELSEWHERE = "+31302000111"


def model(*destinations: object) -> dict[str, object]:
    tool = {"type": "transfer_call", "destinations": list(destinations)}
    return {"provider": "openai", "model": "gpt-5.4", "tools": [tool]}


def transferring(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Any:
    """Transfer to the first destination when asked to, and say why it failed."""
    last = messages[-1]
    if last["role"] == "tool":
        return last["content"].partition("failed: ")[2].split('"')[0] or "Odd"
    if last["content"] == "put me through":
        (tool,) = tools
        destination = tool["function"]["parameters"]["properties"]["destination"]["enum"][0]
        return [ToolCall("transfer_call", json.dumps({"destination": destination}))]
    return f"You said: {last['content']}"


async def steps(reception: Reception, record: dict[str, Any]) -> list[str]:
    events = (await reception.timeline(record))["events"]
    return [event["detail"]["step"] for event in events if event["kind"] == "transfer"]


async def hear_each_other(call: Call, other: Answered, words: str) -> None:
    since_s = time.monotonic()
    await asyncio.gather(
        call.say(encode(f"caller {words}", 8000)), other.say(encode(f"human {words}", 8000))
    )
    await asyncio.sleep(0.2)
    assert heard_since(call, since_s) == [f"human {words}"]
    assert heard_since(other, since_s) == [f"caller {words}"]  # type: ignore[arg-type]


async def lead_over_a_trunk(reception: Reception, number: str, carrier: Human) -> None:
    """Have a number call out over a carrier."""
    host, port = carrier.address
    trunk: dict[str, Any] = {"name": "Carrier", "provider": "tests", "address": f"{host}:{port}"}
    trunk_id = (await reception.api.create("/sip-trunks", trunk))["trunk"]["id"]
    listed = (await reception.api.get("/numbers?limit=1000"))["numbers"]
    (ours,) = (each["id"] for each in listed if each["phone_number"] == number)
    await reception.api.change(f"/numbers/{ours}", {"transfer_trunk_id": trunk_id})


def referred_desk(timeout_s: int) -> dict[str, object]:
    """A place that the caller's side is asked to call."""
    number = "sip:desk@example.com"
    desk = {"type": "sip", "number": number, "description": "Desk", "mode": "refer"}
    return desk | {"timeout_seconds": timeout_s}


async def greeted(call: Call) -> None:
    """Wait until the assistant has said hello."""
    await call.answered()
    await hear_tones(call, "Hello", call.answered_at_s)


async def kill_the_controller(reception: Reception) -> None:
    """Kill it, and let its successor look for what is left of the last life."""
    os.kill(reception.platform.controller_pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        while True:
            with suppress(aiohttp.ClientError):
                if await reception.platform.metric("sovereign_ari_connected"):
                    break
            await asyncio.sleep(0.1)
    await asyncio.sleep(GRACE_S + 0.5)


async def test_a_caller_and_a_human_hear_each_other_with_or_without_a_controller(
    reception: Reception,
) -> None:
    """Over a trunk, which is told what the operator wants told and asks for nothing itself."""
    async with await Human.open(CARRIER) as human:
        human.answers_after_s = 1.5
        desk = {"number": ELSEWHERE, "description": "Desk", "message": "One moment"}
        number = await reception.number(llm_config=model({"type": "number", **desk}))
        await lead_over_a_trunk(reception, number, human)
        reception.vendor.reply = transferring
        async with reception.phone.call(number) as call:
            await greeted(call)
            spoken_s = await say_tones(call, "put me through")
            await hear_tones(call, "One moment", spoken_s)
            other = await human.called()
            record = await reception.record(number)
            assert (record["status"], record["end_reason"]) == ("transferred", "transferred")
            assert await reception.platform.metric("sovereign_pacer_lines") == 0
            assert other.invite.start_line.startswith(f"INVITE sip:{ELSEWHERE}@{CARRIER}:")
            assert other.invite.header("X-Call-Id") == record["id"]
            assert other.invite.header("X-Call-Summary").startswith("You said: A colleague is")
            assert await other.ask("REFER", ("Refer-To", f"<sip:{number}@127.0.0.1>")) == 603
            await hear_each_other(call, other, "before")
            await kill_the_controller(reception)
            await hear_each_other(call, other, "after")
            assert "tester" in other.invite.header("From")
            await other.hang_up()
            assert (await call.ended(timeout_s=3)).by == "far end"
    assert await steps(reception, record) == ["begun", "ringing", "answered", "joined"]


async def test_the_assistant_goes_on_when_the_human_is_busy_and_says_why(
    reception: Reception,
) -> None:
    async with await Human.open("127.0.0.1") as human:
        human.refusal = (486, "Busy Here")
        number = await reception.number(
            llm_config=model({"type": "sip", "number": human.uri, "description": "Desk"})
        )
        reception.vendor.reply = transferring
        async with reception.phone.call(number) as call:
            await greeted(call)
            spoken_s = await say_tones(call, "put me through")
            await hear_tones(call, "busy (SIP 486, cause 17)", spoken_s)
            spoken_s = await say_tones(call, "ok")
            await hear_tones(call, "You said: ok", spoken_s)
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
    assert await steps(reception, record) == ["begun", "failed"]


async def test_the_callers_side_is_asked_to_call_elsewhere_and_its_refusal_comes_back(
    reception: Reception,
) -> None:
    number = await reception.number(llm_config=model(referred_desk(3)))
    reception.vendor.reply = transferring
    async with reception.phone.call(number) as call:
        await greeted(call)
        call.refer_outcome = "486 Busy Here"
        spoken_s = await say_tones(call, "put me through")
        await hear_tones(call, "the other side was not reached (SIP 486)", spoken_s)
        assert await call.refer("sip:somebody@example.com") >= 400
        call.refer_outcome = "200 OK"
        await say_tones(call, "put me through")
        assert (await call.ended(timeout_s=5)).by == "far end"
        (asked, *_) = [one for one in call.requests if one.method == "REFER"]
        assert "sip:desk@example.com" in asked.header("Refer-To")
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("transferred", "transferred")


async def test_a_callers_side_that_never_says_what_became_of_it_comes_back_in_time(
    reception: Reception,
) -> None:
    number = await reception.number(llm_config=model(referred_desk(2)))
    reception.vendor.reply = transferring
    async with reception.phone.call(number) as call:
        await greeted(call)
        call.refer_outcome = ""
        spoken_s = await say_tones(call, "put me through")
        await hear_tones(call, "the caller's side did not say in time", spoken_s)
        call.tell_what_became_of_it("487 Request Terminated")
        spoken_s = await say_tones(call, "ok")
        await hear_tones(call, "You said: ok", spoken_s)
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")


async def test_a_human_is_asked_first_while_the_caller_waits(reception: Reception) -> None:
    async with await Human.open("127.0.0.1") as human:
        desk = {"type": "sip", "number": human.uri, "description": "Desk", "mode": "warm"}
        number = await reception.number(llm_config=model(desk))
        reception.vendor.reply = transferring
        async with reception.phone.call(number) as call:
            await greeted(call)
            spoken_s = await say_tones(call, "put me through")
            other = await human.called()
            await other.heard.wait_for_audio(other.answered_at_s, 5)
            other.press("2")
            assert await other.ended() == "far end"
            await hear_tones(call, "the call was declined", spoken_s)
            await say_tones(call, "put me through")
            while len(human.calls) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            other = await human.called()
            since_s = await other.heard.wait_for_audio(other.answered_at_s, 5)
            await asyncio.sleep(2.5)
            assert "Hello. I have a caller f" in heard_since(other, since_s)  # type: ignore[arg-type]
            await other.say(encode("yes", 8000))
            record = await reception.record(number)
            assert record["status"] == "transferred"
            await hear_each_other(call, other, "now")
    assert "declined" not in record["end_reason"]
    told = await steps(reception, record)
    assert told == [
        "begun", "ringing", "answered", "failed",
        "begun", "ringing", "answered", "accepted", "joined",
    ]  # fmt: skip


async def test_a_caller_talks_on_while_a_human_is_called_and_asked(reception: Reception) -> None:
    async with await Human.open("127.0.0.1") as human:
        human.answers_after_s = 1.0
        desk = {"type": "sip", "number": human.uri, "description": "Desk", "mode": "warm"}
        number = await reception.number(llm_config=model(desk | {"hold": "assistant"}))
        reception.vendor.reply = lambda messages, tools: (
            "Calling" if messages[-1]["role"] == "tool" else transferring(messages, tools)
        )
        async with reception.phone.call(number) as call:
            await greeted(call)
            spoken_s = await say_tones(call, "put me through")
            await hear_tones(call, "Calling", spoken_s)
            other = await human.called()
            await other.heard.wait_for_audio(other.answered_at_s, 5)
            live = (await reception.calls(number))[0]["id"]
            again = {"type": "transfer", "destination": human.uri, "message": "Twice"}
            refused = await reception.api.request("POST", f"/calls/{live}/control", again)
            assert (refused.status, refused.body["error"]["code"]) == (409, "transfer_under_way")
            spoken_s = await say_tones(call, "ok")
            await hear_tones(call, "You said: ok", spoken_s)
            other.press("1")
            await hear_tones(call, "I am putting you through now.", spoken_s)
            assert (await reception.record(number))["status"] == "transferred"
            await hear_each_other(call, other, "now")


async def test_a_caller_is_put_through_from_one_number_of_ours_to_the_next(
    reception: Reception,
) -> None:
    """In his own codec: what is transcoded on the way dies with the second transfer."""
    third = await reception.number(first_message="Third desk")
    desk = {"type": "number", "description": "The next one"}
    other = await reception.number(
        first_message="Second desk", llm_config=model({**desk, "number": third})
    )
    number = await reception.number(llm_config=model({**desk, "number": other}))
    reception.vendor.reply = transferring
    async with reception.phone.call(number) as call:
        await greeted(call)
        spoken_s = await say_tones(call, "put me through")
        await hear_tones(call, "Second desk", spoken_s)
        assert (await reception.record(number))["status"] == "transferred"
        listed = await reception.platform.asterisk_cli("core show channels concise")
        (theirs,) = {line.partition("!")[0] for line in listed.splitlines() if ";2!" in line}
        shown = await reception.platform.asterisk_cli(f"core show channel {theirs}")
        assert "SOVEREIGN_HOPS=1" in shown
        assert "NativeFormats: (ulaw)" in shown
        spoken_s = await say_tones(call, "put me through")
        await hear_tones(call, "Third desk", spoken_s)
        spoken_s = await say_tones(call, "ok")
        await hear_tones(call, "You said: ok", spoken_s)
    assert (await reception.record(other))["status"] == "transferred"
    record = await reception.record(third)
    assert (record["status"], record["caller_phone"]) == ("ended", "tester")
