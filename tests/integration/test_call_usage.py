"""What calls used: counted once, whatever becomes of the workers that count."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from db import reports as table
from db.byok import bound_to, put_key
from db.call_usage import list_call_usage
from db.erasure import erase_call
from db.organisations import ensure_operator_organisation, update_organisation
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallNote
from sovereign_ari.domain.usage import Prices
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.work.reports import Reports
from sovereign_ari.work.retention import erase_expired
from sovereign_ari.work.usage import Counting
from tests.support.api import CATALOGUE, VAULT, running_api
from tests.support.report_world import PLAN, REPORT, Scripted, reporting, until_reported
from tests.support.rows import NOON, a_call_id, answered, closed, opened, turn
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver
from tests.support.webhook_world import an_assistant_that_tells, rings, write

MODELS = {"stt": "openai/gpt-4o-transcribe", "llm": "openai/gpt-5.4", "tts": "openai/tts-1"}
PRICES: Prices = {
    "openai": {"minute": 0.1, "million_input_tokens": 4, "million_output_tokens": 16},
    "scripted/model": {"million_input_tokens": 1, "million_output_tokens": 2},
}
CONVERSATION = [
    ("telephony", "sip", "", "seconds", 60, 1000),
    ("stt", "openai", "gpt-4o-transcribe", "seconds", 60, 100),
    ("llm", "openai", "gpt-5.4", "input_tokens", 300, 1.2),
    ("llm", "openai", "gpt-5.4", "output_tokens", 60, 0.96),
    ("tts", "openai", "tts-1", "characters", 80, None),
]


def afterwards(requests: int) -> list[tuple[Any, ...]]:
    """What so many replies of the scripted model come to."""
    return [
        ("postcall", "scripted", "model", "input_tokens", 20 * requests, 0.02 * requests),
        ("postcall", "scripted", "model", "output_tokens", 7 * requests, 0.014 * requests),
    ]


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


def spoke(number: int, user: str | None, call: CallId) -> Any:
    usage = {"llm_input_tokens": 150, "llm_output_tokens": 30, "tts_characters": 40}
    return turn(number, user, "Good day.", call_id=call, models=MODELS, usage=usage)


async def a_call(pool: asyncpg.Pool, call: CallId | None = None) -> CallId:
    """A whole call of two turns, to an assistant that exists."""
    call = call or a_call_id()
    async with pool.acquire() as connection:
        entry = await rings(connection, call)
    said = (spoke(0, None, call), spoke(1, "When are you open?", call))
    await write(pool, entry, answered(call), *said, closed(call))
    return call


async def an_assistant(pool: asyncpg.Pool, receiver: WebhookReceiver, **fields: Any) -> None:
    plan = {"webhook_events": [REPORT], "analysis_plan": PLAN, **fields}
    async with pool.acquire() as connection:
        await an_assistant_that_tells(connection, receiver.url, **plan)


async def used(pool: asyncpg.Pool, call: CallId | None = None) -> list[tuple[Any, ...]]:
    async with pool.acquire() as connection:
        owner = await ensure_operator_organisation(connection)
        rows = await list_call_usage(connection, owner, call or a_call_id())
    return [
        (row.kind, row.provider, row.model, row.unit, float(row.quantity),
         None if row.cost is None else pytest.approx(float(row.cost)))
        for row in rows
    ]  # fmt: skip


def counting(**options: Any) -> dict[str, Any]:
    return {"counting": Counting(PRICES), **options}


async def test_a_call_is_counted_and_shown_with_its_costs(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    await an_assistant(pool, receiver)
    call = await a_call(pool)
    assert await used(pool) == []
    async with reporting(pool, Scripted(["Hours.", '{"satisfied": true}']), **counting()):
        await until_reported(pool)
    assert await used(pool) == CONVERSATION + afterwards(2)
    async with running_api(pool) as api:
        shown = (await api.ask("GET", f"/api/v1/calls/{call}"))[1]
        page = (await api.ask("GET", "/api/v1/usage?breakdown=true"))[1]
        plain = (await api.ask("GET", "/api/v1/usage"))[1]
        stranger = await api.another_tenant()
        foreign = (await stranger.ask("GET", "/api/v1/usage?breakdown=true"))[1]
        refused = await api.ask("GET", "/api/v1/usage?breakdown=perhaps")
    assert shown["usage"][0] == {
        "kind": "telephony",
        "provider": "sip",
        "model": None,
        "unit": "seconds",
        "quantity": 60,
        "cost_millicredits": 1000,
    }
    assert shown["usage"][4]["cost_millicredits"] is None
    assert len(shown["usage"]) == 7
    assert page["breakdown"] == [{**line, "calls": 1} for line in shown["usage"]]
    assert (plain["breakdown"], foreign["breakdown"]) == (None, [])
    assert refused[0] == 400


async def test_what_a_call_used_beside_its_conversation_counts_too(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    await an_assistant(pool, receiver, analysis_plan=None)
    call = await a_call(pool)
    took = {"tts_characters": 20, "stt_seconds": 30}
    detail = {"for": "briefing for a transfer", "models": MODELS, "usage": took}
    for kind, facts in (("usage", detail), ("usage", {}), ("dtmf", {"usage": took})):
        await write(pool, CallNote(call, NOON, kind, facts))
    async with reporting(pool, Scripted(), **counting()):
        await until_reported(pool)
    quantities = {(kind, unit): amount for kind, _, _, unit, amount, _ in await used(pool)}
    assert quantities["stt", "seconds"] == 60 + 30
    assert quantities["tts", "characters"] == 80 + 20


async def test_what_many_calls_used_adds_up_and_one_unknown_cost_makes_the_sum_unknown(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    await an_assistant(pool, receiver, analysis_plan=None)
    await a_call(pool, a_call_id(1))
    async with reporting(pool, Scripted(), **counting()):
        await until_reported(pool)
    await a_call(pool, a_call_id(2))
    async with reporting(pool, Scripted(), counting=Counting({})):
        await until_reported(pool)
    async with running_api(pool) as api:
        lines = (await api.ask("GET", "/api/v1/usage?breakdown=true"))[1]["breakdown"]
        none = await api.ask("GET", "/api/v1/usage?breakdown=true&start_date=2027-01-01")
    told = [(line["kind"], line["quantity"], line["cost_millicredits"]) for line in lines]
    assert told[:2] == [("telephony", 120, 2000), ("stt", 120, None)]
    assert {line["calls"] for line in lines} == {2}
    assert none[1]["breakdown"] == []


async def test_replies_that_came_to_nothing_are_counted_too(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    """The summary; an answer that does not fit and a repair that fails; then both again."""
    away = ProviderUnavailable("it is away")
    models = Scripted(["Summary.", "unfit", away, "unfit", "unfit again"])
    await an_assistant(pool, receiver)
    await a_call(pool)
    async with reporting(pool, models, **counting()):
        await until_reported(pool)
    assert len(models.asked) == 5
    assert await used(pool) == CONVERSATION + afterwards(4)


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """A pool whose worker dies before, or right after, one of its statements.

    What it had not committed by then is rolled back, as PostgreSQL does with a lost connection.
    """

    def __init__(self, pool: asyncpg.Pool, lives_for: int, *, says_it: bool) -> None:
        self._pool = pool
        self._left = lives_for
        self._says_it = says_it

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection:
            yield _MortalConnection(self, connection)

    async def statement(self, execute: Any, *arguments: Any) -> Any:
        self._left -= 1
        if self._left == 0 and not self._says_it:
            raise Killed
        result = await execute(*arguments)
        if self._left == 0:
            raise Killed
        return result


class _MortalConnection:
    def __init__(self, life: Mortal, connection: asyncpg.Connection) -> None:
        self._life = life
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("execute", "executemany", "fetch", "fetchrow", "fetchval"):
            return found

        async def statement(*arguments: Any) -> Any:
            return await self._life.statement(found, *arguments)

        return statement


@pytest.mark.parametrize("says_it", [False, True], ids=["before", "after"])
async def test_a_worker_may_die_at_any_statement_and_another_counts_the_rest_once(
    pool: asyncpg.Pool,
    receiver: WebhookReceiver,
    connection: asyncpg.Connection,
    says_it: bool,
) -> None:
    await an_assistant(pool, receiver)
    answers = ["Summary.", '{"satisfied": true}']
    for number in itertools.count(1):
        call = await a_call(pool, a_call_id(number))
        (job,) = await table.take(connection, most=1, lasts_s=0)
        mortal: Any = Mortal(pool, number, says_it=says_it)
        died = True
        try:
            await Reports(mortal, Scripted([*answers]), CATALOGUE, VAULT, Counting(PRICES)).do(job)
            died = False
        except Killed:
            await connection.execute("UPDATE call_reports SET due_at = now() WHERE state = 'due'")
        next_one = Answering()
        async with reporting(pool, next_one, **counting()):
            await until_reported(pool)
        assert await used(pool, call) == CONVERSATION + afterwards(2), number
        if not died:
            break
    assert number > 12
    assert len(receiver.received) == number


class Answering(Scripted):
    """Gives each question its answer, however often it is asked."""

    async def answer(self, llm: Any, messages: Any, keys: Any) -> Any:
        asks_for_json = "JSON" in str(messages)
        self.answers = ['{"satisfied": true}' if asks_for_json else "Summary."]
        return await super().answer(llm, messages, keys)


async def test_who_was_overtaken_counts_nothing_any_more(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    await an_assistant(pool, receiver)
    await a_call(pool)
    (slow,) = await table.take(connection, most=1, lasts_s=0)
    async with reporting(pool, Answering(), **counting()):
        await until_reported(pool)
    late = Reports(pool, Answering(), CATALOGUE, VAULT, Counting(PRICES), taken_for_s=0)
    await late.do(slow)
    assert await used(pool) == CONVERSATION + afterwards(2)


@pytest.mark.parametrize("events", [[REPORT], ["status-update"]])
async def test_gdpr_mode_erases_the_content_and_keeps_the_count(
    pool: asyncpg.Pool, receiver: WebhookReceiver, events: list[str]
) -> None:
    await an_assistant(pool, receiver, gdpr_mode=True, webhook_events=events)
    await a_call(pool)
    async with reporting(pool, Answering(), **counting()):
        await until_reported(pool)
    assert await pool.fetchval("SELECT count(*) FROM turns") == 0
    requests = 2 if events == [REPORT] else 0
    assert await used(pool) == CONVERSATION + (afterwards(2) if requests else [])


async def test_retention_erases_what_was_said_and_by_whom_and_keeps_the_count(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    owner = await ensure_operator_organisation(connection)
    days = {"content_retention_days": 30, "metadata_retention_days": 90}
    await update_organisation(connection, owner, days)
    await an_assistant(pool, receiver)
    await a_call(pool)
    async with reporting(pool, Answering(), **counting()):
        await until_reported(pool)
    await connection.execute("UPDATE calls SET ended_at = now() - interval '91 days'")
    await erase_expired(connection, asyncio.Event())
    assert await pool.fetchval("SELECT count(*) FROM turns") == 0
    assert await pool.fetchval("SELECT count(*) FROM call_reports") == 0
    assert await used(pool) == CONVERSATION + afterwards(2)


async def test_a_call_that_is_removed_takes_its_count_along(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    await an_assistant(pool, receiver)
    call = await a_call(pool)
    async with reporting(pool, Answering(), **counting()):
        await until_reported(pool)
    await erase_call(connection, await ensure_operator_organisation(connection), call)
    assert await pool.fetchval("SELECT count(*) FROM call_usage") == 0


async def test_what_an_organisation_pays_its_vendor_itself_has_no_known_cost(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    owner = await ensure_operator_organisation(connection)
    await put_key(connection, owner, "openai", VAULT.seal(b"sk", bound_to(owner, "openai")))
    await an_assistant(pool, receiver, analysis_plan=None)
    await a_call(pool)
    async with reporting(pool, Scripted(), **counting()):
        await until_reported(pool)
    costs = {(line[0], line[1]): line[5] for line in await used(pool)}
    assert costs[("telephony", "sip")] == 1000
    assert costs[("stt", "openai")] is costs[("llm", "openai")] is None


async def test_a_call_that_nobody_answered_uses_nothing(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    await an_assistant(pool, receiver)
    async with pool.acquire() as connection:
        entry = await rings(connection)
    await write(pool, entry, closed())
    async with reporting(pool, Scripted(), **counting()):
        await until_reported(pool)
    assert await used(pool) == []


async def test_tenants_read_their_own_counts_and_write_none(
    pool: asyncpg.Pool, connection: asyncpg.Connection
) -> None:
    owner = await ensure_operator_organisation(connection)
    await write(pool, opened(owner), answered(), closed())
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE sovereign_tenant")
        await connection.execute("SELECT set_config('sovereign.organisation_id', $1, true)", owner)
        assert await connection.fetchval("SELECT count(*) FROM call_usage") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO call_usage VALUES ($1, 'stt', 'x', '', 'seconds', 1, 0)", a_call_id()
            )
