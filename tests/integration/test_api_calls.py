"""`/calls` over HTTP, on rows that the journal wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.journal import write_entries
from db.numbers import create_number
from sovereign_ari.domain.records import (
    CallConfigured,
    CallNote,
    CallStatus,
    EndReason,
    JournalEntry,
)
from tests.support.api import Api, running_api
from tests.support.rows import a_call_id, an_assistant, answered, closed, later, opened, turn

PATH = "/api/v1/calls"
NUMBER = "+31201234567"
OTHERS = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def write(api: Api, *entries: JournalEntry) -> None:
    async with api.pool.acquire() as connection:
        assert await write_entries(connection, entries) == 0


async def found(api: Api, **query: str) -> list[str]:
    status, body = await api.ask("GET", PATH, params=query)
    assert status == 200, body
    assert body["pagination"]["total"] >= len(body["calls"])
    return [call["id"] for call in body["calls"]]


async def test_a_call_shows_what_was_heard_under_the_keys_of_every_generation(
    api: Api,
) -> None:
    async with api.pool.acquire() as connection:
        assistant = await an_assistant(connection, api.organisation_id, business_name="Bakery")
        number = await create_number(
            connection, api.organisation_id, {"phone_number": NUMBER, "assistant_id": assistant.id}
        )
    await write(
        api,
        opened(
            api.organisation_id, number_id=number.id, assistant_id=assistant.id,
            assistant_name="Reception",
        ),
        answered(),
        turn(0, None, "Good day."),
        turn(1, "When?", "At nine. On Sunday at ten.", heard_text="At nine.", interrupted=True),
        turn(2, "Wait", "Never heard.", heard_text="", interrupted=True),
        closed(),
    )  # fmt: skip
    status, call = await api.ask("GET", f"{PATH}/{a_call_id()}")
    assert status == 200
    call.pop("updated_at")
    assert call == {
        "id": a_call_id(),
        "direction": "inbound",
        "status": "ended",
        "end_reason": "user_hangup",
        "error": None,
        "caller_phone": "+31612345678",
        "assistant_phone": NUMBER,
        "agent_phone": NUMBER,
        "assistant_id": assistant.id,
        "agent_id": assistant.id,
        "assistant_name": "Reception",
        "agent_name": "Reception",
        "business_name": "Bakery",
        "number_id": number.id,
        "phone_number": NUMBER,
        "started_at": "2026-01-01T12:00:01.000Z",
        "ended_at": "2026-01-01T12:01:01.000Z",
        "duration_seconds": 60,
        "summary": None,
        "analysis_result": None,
        "metadata": None,
        "messages": [
            {"role": "assistant", "content": "Good day."},
            {"role": "user", "content": "When?"},
            {"role": "assistant", "content": "At nine."},
            {"role": "user", "content": "Wait"},
        ],
        "room_name": f"{a_call_id()}-bridge",
        "recording_url": None,
        "usage": [],
        "created_at": "2026-01-01T12:00:00.000Z",
    }


async def test_what_was_said_of_a_call_is_shown_with_it(api: Api) -> None:
    shown = {"metadata": {"order": "42"}, "first_message": "Hello"}
    await write(api, opened(api.organisation_id, shown=shown))
    _, call = await api.ask("GET", f"{PATH}/{a_call_id()}")
    assert call["metadata"] == {"order": "42"}
    answer = {**shown, "metadata": {"order": "43", "of": ["\x00 we", 1]}}
    await write(api, CallConfigured(a_call_id(), None, "Reception", None, None, answer))
    _, page = await api.ask("GET", PATH)
    assert page["calls"][0]["metadata"] == {"order": "43", "of": ["\ufffd we", 1]}


async def test_a_call_that_rings_is_there_already(api: Api) -> None:
    await write(api, opened(api.organisation_id, caller=None))
    _, call = await api.ask("GET", f"{PATH}/{a_call_id()}")
    assert (call["status"], call["caller_phone"], call["messages"]) == ("ringing", None, [])
    assert (call["started_at"], call["duration_seconds"], call["end_reason"]) == (None,) * 3


async def test_the_persons_number_of_an_outbound_call_is_the_one_dialled(api: Api) -> None:
    outbound = opened(api.organisation_id, direction="outbound", caller=NUMBER, dialled="+32470")
    await write(api, outbound)
    _, call = await api.ask("GET", f"{PATH}/{a_call_id()}")
    assert (call["caller_phone"], call["assistant_phone"]) == ("+32470", NUMBER)


@pytest.mark.parametrize(
    "call_id", [a_call_id(9), "call-inbound-x", "%00", "call-_%2B31612345678_abc123", "1"]
)
@pytest.mark.parametrize("rest", ["", "/timeline"])
async def test_a_call_that_is_not_ours_or_not_a_call_is_not_found(
    api: Api, call_id: str, rest: str
) -> None:
    other = await api.another_tenant()
    await write(api, opened(other.organisation_id, a_call_id(9)))
    status, body = await api.ask("GET", f"{PATH}/{call_id}{rest}")
    assert (status, body["error"]["code"]) == (404, "not_found")


async def test_pages_follow_each_other_newest_first(api: Api) -> None:
    # Two calls of one moment are ordered by id.
    times = [0, 10, 10, 20, 30]
    ids = [a_call_id(number) for number in range(5)]
    calls = [
        opened(api.organisation_id, call, at=later(at))
        for call, at in zip(ids, times, strict=True)
    ]
    await write(api, *calls)
    newest_first = ids[::-1]
    _, body = await api.ask("GET", PATH)
    assert [call["id"] for call in body["calls"]] == newest_first
    assert body["pagination"] == {"total": 5, "limit": 100, "offset": 0}
    _, body = await api.ask("GET", PATH, params={"limit": "2", "offset": "1"})
    assert [call["id"] for call in body["calls"]] == newest_first[1:3]
    assert body["pagination"] == {"total": 5, "limit": 2, "offset": 1}
    _, body = await api.ask("GET", PATH, params={"offset": "99"})
    assert body == {"calls": [], "pagination": {"total": 5, "limit": 100, "offset": 99}}


async def test_a_list_carries_the_transcripts(api: Api) -> None:
    first, second = a_call_id(1), a_call_id(2)
    await write(api, opened(api.organisation_id, first), opened(api.organisation_id, second))
    await write(api, turn(0, None, "One", call_id=first), turn(0, None, "Two", call_id=second))
    _, body = await api.ask("GET", PATH)
    said = {call["id"]: call["messages"][0]["content"] for call in body["calls"]}
    assert said == {first: "One", second: "Two"}


async def test_filters_narrow_the_list(api: Api) -> None:
    async with api.pool.acquire() as connection:
        assistant = await an_assistant(connection, api.organisation_id)
    ringing, talking, failed = (a_call_id(number) for number in range(3))
    await write(
        api,
        opened(api.organisation_id, ringing, at=later(0), caller="+32470000000"),
        opened(api.organisation_id, talking, at=later(86_400), assistant_id=assistant.id),
        answered(talking),
        opened(api.organisation_id, failed, at=later(2 * 86_400), direction="outbound"),
        closed(failed, status=CallStatus.FAILED, end_reason=EndReason.ERROR),
    )
    assert await found(api, status="ringing") == [ringing]
    assert await found(api, status="in-progress") == [talking]
    assert await found(api, status="rejected") == []
    assert await found(api, direction="outbound") == [failed]
    assert await found(api, assistant_id=assistant.id) == [talking]
    assert await found(api, phone_number="+32470000000") == [ringing]
    assert await found(api, start_date="2026-01-02") == [failed, talking]
    assert await found(api, end_date="2026-01-02") == [talking, ringing]
    assert await found(api, start_date="2026-01-02", end_date="2026-01-02") == [talking]
    assert await found(api, end_date="2026-01-02T12:00:00Z") == [talking, ringing]
    assert await found(api, end_date="2026-01-02T12:59:59.999+01:00") == [ringing]
    assert await found(api, start_date="2026-01-02T13:00:00+01:00", status="failed") == [failed]


@pytest.mark.parametrize("when", ["2026-01-02T13:00:00+01:00", "2026-01-02 13:00"])
async def test_a_plus_sign_that_became_a_space_is_understood(api: Api, when: str) -> None:
    status, _ = await api.ask("GET", f"{PATH}?start_date=2026-01-02T13:00:00+01:00")
    assert status == 200


async def test_older_names_of_filters_are_understood(api: Api) -> None:
    async with api.pool.acquire() as connection:
        assistant = await an_assistant(connection, api.organisation_id)
    mine, other = a_call_id(1), a_call_id(2)
    await write(
        api,
        opened(api.organisation_id, mine, assistant_id=assistant.id, caller="+32470000000"),
        opened(api.organisation_id, other),
    )
    assert await found(api, agent_id=assistant.id) == [mine]
    assert await found(api, agent_id=assistant.id, assistant_id=assistant.id.upper()) == [mine]
    assert await found(api, number="+32470000000") == [mine]
    status, body = await api.ask("GET", f"{PATH}?phone_number=+32470000000")  # a space, then
    assert (status, body["pagination"]["total"]) == (200, 1)


async def test_a_page_may_be_a_thousand_calls_and_begin_within_a_day(api: Api) -> None:
    ids = [a_call_id(number) for number in range(1100)]
    calls = [
        opened(api.organisation_id, call, at=later(number * 60 // 7 * 7))
        for number, call in enumerate(ids)
    ]
    await write(api, *calls)
    newest_first = ids[::-1]
    for limit, offset in ((1000, 0), (1000, 333), (100, 1095), (1, 1099), (5, 1100)):
        query = {"limit": str(limit), "offset": str(offset)}
        _, body = await api.ask("GET", PATH, params=query)
        assert [call["id"] for call in body["calls"]] == newest_first[offset : offset + limit]
        assert body["pagination"] == {"total": 1100, "limit": limit, "offset": offset}


async def test_a_call_whose_numbers_and_content_are_gone_is_still_listed(api: Api) -> None:
    await write(api, opened(api.organisation_id), turn(0, None, "Good day."), closed())
    async with api.pool.acquire() as connection:
        await connection.execute("DELETE FROM turns")
        await connection.execute("UPDATE calls SET caller = NULL, content_erased_at = now()")
    assert await found(api, phone_number="+31612345678") == []
    _, body = await api.ask("GET", PATH, params={"phone_number": NUMBER})
    (call,) = body["calls"]
    assert (call["caller_phone"], call["assistant_phone"], call["messages"]) == (
        None,
        NUMBER,
        None,
    )


@pytest.mark.parametrize(
    "status",
    ["connecting", "ringing", "in-progress", "ended", "ended-with-error", "failed", "transferred",
     "rejected", "insufficient-credits"],
)  # fmt: skip
async def test_every_documented_status_is_a_filter(api: Api, status: str) -> None:
    assert await found(api, status=status) == []


@pytest.mark.parametrize(
    ("query", "line"),
    [
        (
            f"agent_id={OTHERS}&assistant_id={OTHERS[:-1]}1",
            "assistant_id: assistant_id and agent_id have",
        ),
        (
            "number=%2B31612345678&phone_number=%2B31612345679",
            "phone_number: phone_number and number have",
        ),
        ("limit=0", "limit: "),
        ("limit=1001", "limit: "),
        ("limit=ten", "limit: is not a whole number"),
        ("limit=1.0", "limit: is not a whole number"),
        ("limit=%D9%A1", "limit: is not a whole number"),
        ("limit=", "limit: is not a whole number"),
        ("offset=-1", "offset: "),
        ("offset=99999999999999999999", "offset: is not a whole number"),
        ("status=asleep", "status: "),
        ("direction=up", "direction: "),
        ("start_date=yesterday", "start_date: is not an ISO 8601 date or time"),
        ("start_date=2026-13-01", "start_date: is not an ISO 8601 date or time"),
        ("start_date=0000-01-01", "start_date: is not an ISO 8601 date or time"),
        ("start_date=0001-01-01T00:00%2B10:00", "start_date: is not an ISO 8601 date or time"),
        ("end_date=9999-12-31", "end_date: is too late"),
        ("end_date=1700000000", "end_date: is not an ISO 8601 date or time"),
        ("assistant_id=me", "assistant_id: is not a UUID"),
        ("phone_number=%00", "phone_number: "),
        ("stauts=ended", "stauts: unknown parameter; did you mean status?"),
        ("limit=1&limit=2", "limit: is given twice"),
    ],
)
async def test_a_bad_query_is_refused_by_name(api: Api, query: str, line: str) -> None:
    status, body = await api.ask("GET", f"{PATH}?{query}")
    assert status == 400, body
    assert body["details"][0].startswith(line)
    assert body["error"]["type"] == "validation_error"


async def test_the_timeline_has_a_waterfall_per_turn(api: Api) -> None:
    exchange = turn(
        1, "When?", "At nine. On Sunday at ten.", heard_text="At nine.", interrupted=True,
        tool_calls=({"id": "a", "name": "hours", "arguments": {}, "result": "9"},),
        user_stopped_ms=4000, stt_final_ms=4150, turn_ended_ms=4400, llm_first_token_ms=4700,
        first_sentence_ms=4900, tts_first_byte_ms=5100, first_packet_ms=5120,
        reply_ended_ms=5900, models={"llm": "parrot/parrot-1"}, usage={"characters": 8.0},
    )  # fmt: skip
    await write(
        api,
        opened(api.organisation_id),
        answered(),
        turn(0, None, "Good day.", first_packet_ms=30),
        exchange,
        CallNote(a_call_id(), later(3.5), "dtmf", {"digit": "5"}),
        closed(media={"received": 2900.0, "lost": 2.0}),
    )
    status, timeline = await api.ask("GET", f"{PATH}/{a_call_id()}/timeline")
    assert status == 200
    greeting, second = timeline.pop("turns")
    assert timeline == {
        "call_id": a_call_id(),
        "status": "ended",
        "end_reason": "user_hangup",
        "cause": 16,
        "controller": "sovereign-1",
        "codec": "ulaw",
        "created_at": "2026-01-01T12:00:00.000Z",
        "answered_at": "2026-01-01T12:00:01.000Z",
        "ended_at": "2026-01-01T12:01:01.000Z",
        "events": [
            {"at": "2026-01-01T12:00:03.500Z", "offset_ms": 2500, "kind": "dtmf",
             "detail": {"digit": "5"}}
        ],
        "media": {"received": 2900.0, "lost": 2.0},
    }  # fmt: skip
    assert set(greeting["latency"].values()) == {None}
    assert second["latency"] == {
        "endpoint_ms": 400,
        "stt_ms": 150,
        "llm_ms": 300,
        "first_sentence_ms": 200,
        "tts_ms": 200,
        "playout_ms": 20,
        "voice_to_voice_ms": 1120,
    }
    kept: dict[str, Any] = {name: second[name] for name in ("user", "agent", "heard")}
    assert kept == {
        "user": "When?", "agent": "At nine. On Sunday at ten.", "heard": "At nine.",
    }  # fmt: skip
    assert (second["number"], second["interrupted"], second["reply_ended_ms"]) == (1, True, 5900)
    assert second["tool_calls"][0]["name"] == "hours"
