"""Commands of the API to live calls, heard on the caller's line."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from sovereign_ari.bundle.ports import free_port
from tests.support.platform import REPOSITORY, ApiClient, Json, Platform
from tests.support.reception import Reception, hear_tones, heard_since, said, say_tones
from tests.support.sip_call import Call

LONG = "Once upon a time there was a telephone that spoke for a very long time about nothing."
SENT: Json = {"success": True, "message": "Command sent successfully"}


async def control(api: ApiClient, number: str, reception: Reception, body: Json) -> str:
    """Send a command to the newest call to a number; gives the call's id."""
    live = await reception.record(number, lambda call: call["status"] == "in-progress")
    answer = await api.request("POST", f"/calls/{live['id']}/control", body)
    assert (answer.status, answer.body) == (200, SENT)
    return str(live["id"])


async def greeted(reception: Reception, number: str, call: Call) -> float:
    await call.answered()
    await hear_tones(call, "Hello", call.answered_at_s)
    await reception.record(number, lambda found: found["status"] == "in-progress")
    return asyncio.get_running_loop().time()


async def test_a_line_is_heard_and_stands_in_the_transcript(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        told_s = await greeted(reception, number, call)
        body = {"type": "say", "content": "Hold the line", "end_after": False}
        await control(reception.api, number, reception, body)
        await hear_tones(call, "Hold the line", told_s)
        spoken_s = await say_tones(call, "thanks")
        await hear_tones(call, "You said: thanks", spoken_s)
    record = await reception.record(number)
    assert record["end_reason"] == "user_hangup"
    assert said(record)[:3] == [
        ("assistant", "Hello"),
        ("assistant", "Hold the line"),
        ("user", "thanks"),
    ]
    prompt = reception.vendor.chat.bodies[-1]["messages"]
    assert [m["content"] for m in prompt if m["role"] == "assistant"][-1] == "Hold the line"


async def test_a_line_cuts_what_the_assistant_says(reception: Reception) -> None:
    number = await reception.number()
    reception.vendor.reply = lambda *_: LONG
    async with reception.phone.call(number) as call:
        await greeted(reception, number, call)
        spoken_s = await say_tones(call, "story")
        begun_s = await call.heard.wait_for_audio(spoken_s, 5)
        await call.heard.wait_until(lambda: len(heard_since(call, begun_s)) > 0, 5)
        cut_s = asyncio.get_running_loop().time()
        body = {"type": "say", "content": "Excuse me", "end_after": False}
        await control(reception.api, number, reception, body)
        await hear_tones(call, "Excuse me", cut_s)
    record = await reception.record(number)
    story = (await reception.timeline(record))["turns"][1]
    assert story["interrupted"] is True
    assert LONG.startswith(story["heard"].rstrip(" ."))
    assert len(story["heard"]) < len(LONG)
    assert said(record)[-1] == ("assistant", "Excuse me")


async def test_the_call_ends_after_its_last_words_were_heard(reception: Reception) -> None:
    last: dict[str, Json] = {
        "So long caller": {"type": "end-call", "message": "So long caller"},
        "And goodbye": {"type": "say", "content": "And goodbye", "end_after": True},
    }
    for words, body in last.items():
        number = await reception.number()
        async with reception.phone.call(number) as call:
            told_s = await greeted(reception, number, call)
            call_id = await control(reception.api, number, reception, body)
            ending = await call.ended(timeout_s=10)
            assert ending.by == "far end"
            assert heard_since(call, told_s) == [words]
            last_s = call.heard.last_audio_before(ending.at_s)
            assert last_s is not None
            assert ending.at_s - last_s < 1.0
        record = await reception.record(number)
        assert (record["status"], record["end_reason"]) == ("ended", "assistant_hangup")
        assert said(record)[-1] == ("assistant", words)
        late = await reception.api.request("POST", f"/calls/{call_id}/control", body)
        assert late.status == 400
        assert late.body["message"] == f"the call {call_id} is not in progress: it is ended"


async def test_a_call_ends_without_a_word(reception: Reception) -> None:
    number = await reception.number(first_message=LONG)
    async with reception.phone.call(number) as call:
        await call.answered()
        await call.heard.wait_for_audio(call.answered_at_s, 5)
        await control(reception.api, number, reception, {"type": "end-call"})
        assert (await call.ended(timeout_s=5)).by == "far end"
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "assistant_hangup")


async def test_context_changes_what_the_model_gets(reception: Reception) -> None:
    number = await reception.number()
    reception.vendor.reply = lambda messages, _: (
        "Shipped" if messages[-1]["role"] == "system" else "Fine"
    )
    context = {"role": "system", "content": "order 47 left"}
    async with reception.phone.call(number) as call:
        told_s = await greeted(reception, number, call)
        body = {"type": "inject-context", "content": "be brief", "trigger_response": False}
        await control(reception.api, number, reception, body)
        assert not reception.vendor.chat.bodies
        body = {"type": "inject-context", "content": "order 47 left", "trigger_response": True}
        await control(reception.api, number, reception, body)
        await hear_tones(call, "Shipped", told_s)
        spoken_s = await say_tones(call, "thanks")
        await hear_tones(call, "Fine", spoken_s)
    prompts = [body["messages"] for body in reception.vendor.chat.bodies]
    assert prompts[0][-2:] == [{"role": "system", "content": "be brief"}, context]
    assert context in prompts[1]
    assert prompts[1][-1] == {"role": "user", "content": "thanks"}
    record = await reception.record(number)
    timeline = await reception.timeline(record)
    told = [event["detail"]["type"] for event in timeline["events"] if event["kind"] == "control"]
    assert told == ["inject-context"] * 2


async def test_a_transfer_is_refused_and_the_call_goes_on(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await greeted(reception, number, call)
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        body = {"type": "transfer", "destination": "+31201234567"}
        answer = await reception.api.request("POST", f"/calls/{live['id']}/control", body)
        assert (answer.status, answer.body["error"]["code"]) == (422, "transfer_unavailable")
        spoken_s = await say_tones(call, "still here")
        await hear_tones(call, "You said: still here", spoken_s)


async def test_commands_work_from_a_second_process_of_the_api(reception: Reception) -> None:
    number = await reception.number()
    async with second_api(reception.platform, reception.api) as second:
        async with reception.phone.call(number) as call:
            told_s = await greeted(reception, number, call)
            first = {"type": "say", "content": "From one", "end_after": False}
            await control(reception.api, number, reception, first)
            await control(second, number, reception, {"type": "end-call", "message": "From two"})
            assert (await call.ended(timeout_s=10)).by == "far end"
            assert heard_since(call, told_s)[-1] == "From two"


async def test_a_command_is_in_effect_at_once(reception: Reception) -> None:
    """From the request to the model's own request; far from the pause of any poll."""
    number = await reception.number()
    waits_s = []
    async with reception.phone.call(number) as call:
        await greeted(reception, number, call)
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        loop = asyncio.get_running_loop()
        for turn in range(9):
            begun_s = loop.time()
            body = {"type": "inject-context", "content": f"{turn}", "trigger_response": True}
            answer = await reception.api.request("POST", f"/calls/{live['id']}/control", body)
            assert answer.status == 200
            await reception.vendor.until(
                lambda turn=turn: len(reception.vendor.chat.bodies) > turn  # type: ignore[misc]
            )
            waits_s.append(loop.time() - begun_s)
    assert statistics.median(waits_s) < 0.3, waits_s


@asynccontextmanager
async def second_api(platform: Platform, like: ApiClient) -> AsyncIterator[ApiClient]:
    """Run another process of the API on the same database, for the same key."""
    port = free_port("127.0.0.1")
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "DATABASE_URL": str(platform.ready["database_url"]),
        "SOVEREIGN_DATA_DIR": str(platform.data_dir),
        "SOVEREIGN_API_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sovereign_ari", "api",
        env=environment, cwd=platform.data_dir,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    base_url = f"http://127.0.0.1:{port}/api/v1"
    try:
        async with asyncio.timeout(30):
            while not await _serves(base_url):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        async with ApiClient(base_url, like._key) as client:
            yield client
    finally:
        process.terminate()
        await process.wait()


async def _serves(base_url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{base_url}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
