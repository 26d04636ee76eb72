"""What the journal leaves in the database."""

from __future__ import annotations

import asyncio
import json
import math

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.calls import get_call
from db.journal import CHANNEL, storable, write_entries
from db.organisations import ensure_operator_organisation
from db.pool import encode_json
from db.turns import list_notes, list_said, list_turns
from sovereign_ari.domain.records import CallNote, CallStatus, EndReason, JournalEntry
from tests.support.rows import NOON, a_call_id, answered, closed, later, opened, turn


@pytest.fixture
async def organisation(connection: asyncpg.Connection) -> str:
    return await ensure_operator_organisation(connection)


async def test_a_call_goes_from_ringing_to_ended(
    connection: asyncpg.Connection, organisation: str
) -> None:
    statuses = []
    life: list[JournalEntry] = [opened(organisation), answered(), closed(media={"lost": 2.0})]
    for entry in life:
        assert await write_entries(connection, [entry]) == 0
        statuses.append((await get_call(connection, organisation, a_call_id())).status)
    call = await get_call(connection, organisation, a_call_id())
    assert statuses == ["ringing", "in-progress", "ended"]
    assert (call.created_at, call.answered_at, call.ended_at) == (NOON, later(1), later(61))
    assert (call.end_reason, call.cause, call.media) == ("user_hangup", 16, {"lost": 2.0})


async def test_a_call_that_could_not_be_routed_is_the_operators(
    connection: asyncpg.Connection,
) -> None:
    operator = await ensure_operator_organisation(connection)
    entry = opened("")
    await write_entries(connection, [entry])
    owner = await connection.fetchval(
        "SELECT organisation_id FROM calls WHERE id = $1", entry.call_id
    )
    assert str(owner) == operator


async def test_entries_written_twice_change_nothing(
    connection: asyncpg.Connection, organisation: str
) -> None:
    note = CallNote(a_call_id(), later(3), "dtmf", {"digit": "5"})
    entries: list[JournalEntry] = [
        opened(organisation),
        answered(),
        turn(0, None, "Hello"),
        note,
        closed(),
    ]
    await write_entries(connection, entries)
    first = await get_call(connection, organisation, a_call_id())
    await write_entries(connection, entries)
    assert await get_call(connection, organisation, a_call_id()) == first
    assert len(await list_turns(connection, organisation, a_call_id())) == 1
    assert len(await list_notes(connection, organisation, a_call_id())) == 1


async def test_two_digits_at_one_moment_are_two_notes(
    connection: asyncpg.Connection, organisation: str
) -> None:
    notes = [CallNote(a_call_id(), NOON, "dtmf", {"digit": digit}) for digit in "12"]
    await write_entries(connection, [opened(organisation), *notes])
    written = await list_notes(connection, organisation, a_call_id())
    assert sorted(note.detail["digit"] for note in written) == ["1", "2"]


async def test_the_first_end_wins(connection: asyncpg.Connection, organisation: str) -> None:
    second = closed(
        after_s=99, status=CallStatus.ENDED_WITH_ERROR, end_reason=EndReason.ERROR, cause=34
    )
    await write_entries(connection, [opened(organisation), closed(), second])
    call = await get_call(connection, organisation, a_call_id())
    assert (call.status, call.cause, call.ended_at) == ("ended", 16, later(61))


async def test_an_answer_after_the_end_does_not_reopen_the_call(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await write_entries(connection, [opened(organisation), closed(), answered()])
    call = await get_call(connection, organisation, a_call_id())
    assert (call.status, call.answered_at) == ("ended", later(1))


async def test_the_last_version_of_a_turn_stands(
    connection: asyncpg.Connection, organisation: str
) -> None:
    begun = turn(1, "when do you open", "")
    done = turn(
        1,
        "when do you open",
        "At nine. And on Sunday at ten.",
        heard_text="At nine.",
        interrupted=True,
        tool_calls=({"id": "a", "name": "hours", "arguments": {}, "result": "9"},),
        first_packet_ms=1500,
        models={"llm": "parrot/parrot"},
        usage={"characters": 8.0},
    )
    await write_entries(connection, [opened(organisation), begun, done])
    (row,) = await list_turns(connection, organisation, a_call_id())
    assert (row.heard_text, row.interrupted, row.first_packet_ms) == ("At nine.", True, 1500)
    assert row.tool_calls == [{"id": "a", "name": "hours", "arguments": {}, "result": "9"}]
    assert (row.models, row.usage) == ({"llm": "parrot/parrot"}, {"characters": 8.0})
    said = await list_said(connection, organisation, [a_call_id(), a_call_id(2)])
    assert [s.heard_text for s in said[a_call_id()]] == ["At nine."]
    assert said[a_call_id(2)] == []


async def test_entries_of_a_call_that_was_never_opened_are_dropped_and_counted(
    connection: asyncpg.Connection, organisation: str
) -> None:
    note = CallNote(a_call_id(2), NOON, "dtmf")
    strangers: list[JournalEntry] = [
        answered(a_call_id(2)),
        turn(0, None, "Hi", call_id=a_call_id(2)),
        note,
    ]
    lost = await write_entries(
        connection, [*strangers, closed(a_call_id(2)), opened(organisation)]
    )
    assert lost == 4
    assert (await get_call(connection, organisation, a_call_id())).status == "ringing"


async def test_a_batch_is_written_whole_or_not_at_all(connection: asyncpg.Connection) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    organisation = await ensure_operator_organisation(connection)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await write_entries(connection, [opened(organisation), opened(unknown, a_call_id(2))])
    assert await connection.fetchval("SELECT count(*) FROM calls") == 0


async def test_characters_postgresql_cannot_hold_do_not_stop_the_journal(
    connection: asyncpg.Connection, organisation: str
) -> None:
    said = turn(0, "a\x00b\ud800", "c", tool_calls=({"result": "\x00", "score": math.nan},))
    await write_entries(connection, [opened(organisation, caller="\x00"), said])
    (row,) = await list_turns(connection, organisation, a_call_id())
    assert row.user_text == "a\ufffdb\ufffd"
    assert row.tool_calls == [{"result": "\ufffd", "score": None}]


async def test_changes_of_status_are_told_without_the_caller(
    pool: asyncpg.Pool, connection: asyncpg.Connection, organisation: str
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with pool.acquire() as listener:
        hear = lambda *message: told.put_nowait(message[3])  # noqa: E731 - one line, used twice
        await listener.add_listener(CHANNEL, hear)
        await write_entries(
            connection,
            [opened(organisation, assistant_name="Demo"), answered(), answered(), closed()],
        )
        async with asyncio.timeout(5):
            heard = [json.loads(await told.get()) for _ in range(3)]
        await listener.remove_listener(CHANNEL, hear)
    assert told.empty()
    assert [message["status"] for message in heard] == ["ringing", "in-progress", "ended"]
    assert heard[0] == {
        "call_id": a_call_id(),
        "status": "ringing",
        "dialled": "+31201234567",
        "assistant": "Demo",
        "duration_s": None,
        "end_reason": None,
    }
    assert (heard[2]["duration_s"], heard[2]["end_reason"]) == (60, "user_hangup")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


@given(_JSON)
def test_anything_becomes_storable(value: object) -> None:
    text = encode_json(storable(value))
    assert "\\u0000" not in text
    text.encode("utf-8")
