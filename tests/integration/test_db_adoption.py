"""Rows of calls whose controller died: one other takes each, and it is open until its true end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from db import adoption, controllers
from db.adoption import adopt, close_transferred, forget_kept
from db.calls import get_call
from db.controllers import beat, close_lost, show_life
from db.journal import write_entries
from db.organisations import ensure_operator_organisation
from sovereign_ari.domain.adoption import BrokenTransfer, FoundCall, NotAdopted
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.kept import keep
from sovereign_ari.domain.records import CallNote, JournalEntry
from sovereign_ari.domain.webhook import Webhook
from tests.support.rows import a_call_id, answered, closed, later, opened, turn

ANN = Assistant(
    "", "o", "Ann", "Hi.", {"messages": [{"role": "system", "content": "Be Ann."}]}, {}, {},
    end_call_phrases=("bye",), webhook_secret="signs", shown={"name": "Ann"},
)  # fmt: skip
CALL = a_call_id()


@pytest.fixture
async def organisation(connection: asyncpg.Connection) -> str:
    return await ensure_operator_organisation(connection)


async def left_by(
    connection: asyncpg.Connection, organisation: str, controller: str, *more: JournalEntry
) -> None:
    entries: Sequence[JournalEntry] = [
        opened(
            organisation,
            controller=controller,
            shown=ANN.shown,
            kept=keep(ANN),
            webhook=Webhook("https://example.com/hook", "s", frozenset(["status-update"])),
        ),
        answered(),
        *more,
    ]
    await write_entries(connection, entries)


async def test_a_call_comes_with_all_that_it_ran_on_and_all_that_was_said(
    connection: asyncpg.Connection, organisation: str
) -> None:
    spoken = turn(1, "hello", "How are you?", reply_ended_ms=5000)
    await left_by(connection, organisation, "old", turn(0, None, "Hi."), spoken)
    found = await adopt(connection, CALL, "new")
    assert isinstance(found, FoundCall)
    assert found.route.assistant is not None
    kept = found.route.assistant
    assert (kept.llm, kept.end_call_phrases, kept.webhook_secret) == (
        ANN.llm, ("bye",), "signs",
    )  # fmt: skip
    assert kept.webhook is not None
    assert kept.webhook.url == "https://example.com/hook"
    assert (found.ours, found.theirs, found.codec) == ("+31201234567", "+31612345678", "ulaw")
    assert [(t.user_text, t.heard_text, t.finished) for t in found.past.turns] == [
        (None, "Hi.", False),
        ("hello", "How are you?", True),
    ]
    assert (found.past.next_number, found.past.answered_at) == (2, later(1))
    assert (await get_call(connection, organisation, CALL)).controller == "new"


async def test_only_one_of_several_takes_a_call(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await left_by(connection, organisation, "old")
    for name in ("a", "b"):
        await beat(connection, name, node="n", capacity=1)
        await show_life(connection, name)
    assert isinstance(await adopt(connection, CALL, "a"), FoundCall)
    assert await adopt(connection, CALL, "b") is NotAdopted.LATER, "a lives"
    assert isinstance(await adopt(connection, CALL, "a"), FoundCall), "its own next life"


async def test_a_call_of_another_release_that_cannot_be_read_stays_as_it_is(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await left_by(connection, organisation, "old")
    await connection.execute(
        """UPDATE call_reports SET kept = jsonb_set(kept, '{turn_taking}', '{"unknown": 1}')"""
    )
    assert await adopt(connection, CALL, "new") is NotAdopted.NEVER
    assert (await get_call(connection, organisation, CALL)).controller == "old"


async def test_a_controller_that_was_just_seen_keeps_its_call(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await left_by(connection, organisation, "old")
    await beat(connection, "old", node="n", capacity=1)
    await show_life(connection, "old")
    assert await adopt(connection, CALL, "new") is NotAdopted.LATER
    await connection.execute("UPDATE controllers SET seen_at = now() - interval '6 s'")
    assert isinstance(await adopt(connection, CALL, "new"), FoundCall)


def since_its_start(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    """Have the server know of all controllers so long after its start."""
    statement = adoption._TAKE.replace(controllers.SETTLED, f"interval '{seconds}'")
    monkeypatch.setattr(adoption, "_TAKE", statement)


async def test_a_controller_whose_connection_is_gone_is_dead_at_once(
    connection: asyncpg.Connection,
    organisation: str,
    pool: asyncpg.Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    since_its_start(monkeypatch, "0 s")
    await left_by(connection, organisation, "old")
    await beat(connection, "old", node="n", capacity=1)
    async with pool.acquire() as line:
        await show_life(line, "old")
        assert await adopt(connection, CALL, "new") is NotAdopted.LATER
        line.terminate()
    async with asyncio.timeout(5):
        while await adopt(connection, CALL, "new") is NotAdopted.LATER:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (await get_call(connection, organisation, CALL)).controller == "new"


async def test_a_server_that_has_just_started_knows_of_no_controllers_death(
    connection: asyncpg.Connection, organisation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    since_its_start(monkeypatch, "1 year")
    await left_by(connection, organisation, "old")
    await beat(connection, "old", node="n", capacity=1)
    assert await adopt(connection, CALL, "new") is NotAdopted.LATER


async def test_a_transfer_that_was_under_way_is_known(
    connection: asyncpg.Connection, organisation: str
) -> None:
    begun = {"step": "begun", "mode": "blind", "destination": "+31207654321"}
    notes = [CallNote(CALL, later(n), "transfer", d) for n, d in enumerate([begun, {"step": "r"}])]
    await left_by(connection, organisation, "old", *notes)
    found = await adopt(connection, CALL, "new")
    assert isinstance(found, FoundCall)
    assert found.past.transfer == BrokenTransfer("blind", "+31207654321")


async def test_a_call_that_was_closed_by_a_guess_is_open_again_and_reported_at_its_true_end(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await left_by(connection, organisation, "old")
    await close_lost(connection, "old", [CALL])
    await connection.execute("UPDATE call_reports SET state = 'done'")
    assert isinstance(await adopt(connection, CALL, "new"), FoundCall)
    live = await get_call(connection, organisation, CALL)
    assert (live.status, live.ended_at, live.error) == ("in-progress", None, None)
    await write_entries(connection, [closed()])
    assert (await get_call(connection, organisation, CALL)).end_reason == "user_hangup"
    assert await connection.fetchval("SELECT state FROM call_reports") == "due"


async def test_a_call_that_is_over_or_unknown_or_runs_on_nothing_is_nobodys(
    connection: asyncpg.Connection, organisation: str
) -> None:
    assert await adopt(connection, CALL, "new") is NotAdopted.NEVER
    await left_by(connection, organisation, "old", closed())
    assert await adopt(connection, CALL, "new") is NotAdopted.NEVER
    other = a_call_id(2)
    await write_entries(connection, [opened(organisation, other, shown={"name": "x"})])
    assert await adopt(connection, other, "new") is NotAdopted.NEVER


async def test_a_transfer_that_its_controller_did_not_live_to_write_down_is_one(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await left_by(connection, organisation, "old")
    await close_transferred(connection, CALL)
    found = await get_call(connection, organisation, CALL)
    assert (found.status, found.end_reason) == ("transferred", "transferred")


async def test_what_a_call_ran_on_is_forgotten_some_time_after_its_end(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await left_by(connection, organisation, "old")
    kept = "SELECT kept IS NOT NULL FROM call_reports"
    await forget_kept(connection)
    assert await connection.fetchval(kept)
    await write_entries(connection, [closed()])
    await forget_kept(connection)
    assert not await connection.fetchval(kept), "it ended in January"
