"""`POST /calls/{id}/control` with `cancel`: for outgoing calls that nobody has answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.journal import write_entries
from db.outbound_requests import open_requests
from sovereign_ari.domain.control import Cancel, CommandOutcome, ControlCommand
from sovereign_ari.domain.ids import CallId, call_id
from sovereign_ari.domain.records import CallRinging
from tests.support.api import DEFAULTS, Api, running_api
from tests.support.commanded import Commanded, commanded
from tests.support.rows import NOON, a_call_id, answered, closed, opened

CALL = call_id("outbound", 1_767_268_800_000, 1)
PATH = f"/api/v1/calls/{CALL}/control"
CANCEL = {"type": "cancel"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def it(pool: asyncpg.Pool) -> AsyncIterator[Commanded]:
    async with commanded(pool) as it:
        yield it


async def asked_for(api: Api) -> str:
    """Ask for a call, as a client does; gives its id."""
    trunk = await api.pool.fetchval(
        "INSERT INTO sip_trunks (organisation_id, name, addresses)"
        " VALUES ($1, 'Carrier', '{a.example.com}') RETURNING id::text",
        api.organisation_id,
    )
    await api.pool.execute(
        "INSERT INTO phone_numbers (organisation_id, phone_number, transfer_trunk_id)"
        " VALUES ($1, '+31201234567', $2)",
        api.organisation_id,
        trunk,
    )
    body = {"destination": "+31612345678", "assistant": {"llm_config": {"provider": "parrot"}}}
    status, made = await api.ask("POST", "/api/v1/calls/outbound", body)
    assert status == 201, made
    return str(made["call_id"])


async def rings(api: Api) -> None:
    async with api.pool.acquire() as connection:
        await write_entries(
            connection,
            [opened(api.organisation_id, CALL, direction="outbound"), CallRinging(CALL, NOON)],
        )


async def test_a_ringing_call_is_told(api: Api, it: Commanded) -> None:
    await rings(api)
    assert (await api.ask("POST", PATH, CANCEL))[0] == 200
    assert it.told == [(CALL, Cancel())]


@pytest.mark.parametrize("kind", ["end-call", "say", "inject-context", "transfer"])
async def test_a_ringing_call_takes_nothing_else_and_says_how_it_ends(
    api: Api, it: Commanded, kind: str
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "say": {"content": "x", "end_after": True},
        "inject-context": {"content": "x", "trigger_response": True},
        "transfer": {"destination": "+31201234567"},
    }
    await rings(api)
    status, answer = await api.ask("POST", PATH, {"type": kind, **bodies.get(kind, {})})
    assert status == 400
    why = f"the call {CALL} is not in progress: it is ringing; cancel gives it up"
    assert (answer["message"], it.told) == (why, [])


async def test_an_answered_call_and_one_that_is_over_are_not_cancelled(
    api: Api, it: Commanded
) -> None:
    await rings(api)
    for entry, why in (
        (answered(CALL), "it is in-progress; end-call ends it"),
        (closed(CALL), "it is ended"),
    ):
        async with api.pool.acquire() as connection:
            await write_entries(connection, [entry])
        status, answer = await api.ask("POST", PATH, CANCEL)
        assert (status, answer["message"]) == (400, f"the call {CALL} cannot be cancelled: {why}")
    assert not it.told


async def test_a_caller_who_waits_is_not_cancelled(api: Api, it: Commanded) -> None:
    async with api.pool.acquire() as connection:
        await write_entries(connection, [opened(api.organisation_id)])
    status, answer = await api.ask("POST", f"/api/v1/calls/{a_call_id()}/control", CANCEL)
    assert (status, it.told) == (400, [])
    assert answer["message"].endswith("cannot be cancelled: it is not an outgoing one")


async def test_a_call_that_no_controller_has_taken_is_closed_by_whoever_takes_it(
    api: Api, pool: asyncpg.Pool
) -> None:
    call = await asked_for(api)
    for _ in range(2):
        assert (await api.ask("POST", f"/api/v1/calls/{call}/control", CANCEL))[0] == 200
    async with open_requests(pool, "full", DEFAULTS) as box, asyncio.timeout(5):
        [placed] = await box.take(lambda: 0)
    assert (placed.call_id, placed.cancelled, placed.refusal) == (call, True, None)


async def test_a_controller_that_has_just_taken_a_call_is_asked_again(
    api: Api, it: Commanded, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rings(api)
    told: list[CallId] = []

    def late(call: CallId, command: ControlCommand) -> CommandOutcome:
        told.append(call)
        return CommandOutcome.DONE if len(told) == 3 else CommandOutcome.NOT_ACTIVE

    monkeypatch.setattr(Commanded, "control", lambda _self, *what: late(*what))
    async with commanded(api.pool, "another"):
        await api.pool.execute("UPDATE calls SET controller = 'another'")
        assert (await api.ask("POST", PATH, CANCEL))[0] == 200
    assert told == [CALL] * 3
    places = "SELECT cardinality(hits) FROM rate_windows WHERE subject = $1"
    assert await api.pool.fetchval(places, f"call:{CALL}") == 1, "its client has asked once"
