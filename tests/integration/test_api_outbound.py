"""`POST /calls/outbound` over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import pytest

from db.keys import create_key
from db.outbound import permission_of
from sovereign_ari.domain.ids import is_call_id
from sovereign_ari.domain.permission import OutboundPermission
from tests.support.api import Api, running_api

PATH = "/api/v1/calls/outbound"
THEM = "+31612345678"
OURS = "+31201234567"
PARROT = {"provider": "parrot"}
SOMEBODY = "00000000-0000-4000-8000-000000000000"
Json = dict[str, Any]


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def assistant_id(api: Api) -> str:
    return await an_assistant(api)


@pytest.fixture
async def number_id(api: Api) -> str:
    return await a_number(api, OURS, transfer_trunk_id=await a_trunk(api))


async def an_assistant(api: Api, **fields: Any) -> str:
    made = await api.ask("POST", "/api/v1/assistants", {"name": "Reception", **fields})
    found: str = made[1]["assistant"]["id"]
    return found


async def a_trunk(api: Api) -> str:
    made: str = await api.pool.fetchval(
        "INSERT INTO sip_trunks (organisation_id, name, addresses)"
        " VALUES ($1, 'Carrier', '{sip.example.com}') RETURNING id::text",
        api.organisation_id,
    )
    return made


async def a_number(api: Api, number: str, **fields: Any) -> str:
    made = await api.ask("POST", "/api/v1/numbers", {"phone_number": number, **fields})
    found: str = made[1]["number"]["id"]
    return found


async def calls(api: Api) -> list[Json]:
    _, listed = await api.ask("GET", "/api/v1/calls")
    found: list[Json] = listed["calls"]
    return found


async def refused(api: Api, body: Mapping[str, Any]) -> tuple[int, str, str]:
    """Ask for a call that is refused and leaves nothing behind."""
    status, answer = await api.ask("POST", PATH, body)
    assert await calls(api) == []
    error = answer["error"]
    return status, error["code"], "; ".join(answer.get("details", [error["message"]]))


async def test_a_call_is_recorded_before_anybody_dials(
    api: Api, assistant_id: str, number_id: str
) -> None:
    body = {"destination": THEM, "assistant_id": assistant_id, "number_id": number_id}
    status, made = await api.ask("POST", PATH, body)
    call_id = made["call_id"]
    assert (status, made) == (
        201,
        {
            "success": True,
            "call_id": call_id,
            "status": "dialing",
            "room_name": f"{call_id}-bridge",
        },
    )
    assert is_call_id(call_id)
    assert call_id.startswith("call-outbound-")
    _, call = await api.ask("GET", f"/api/v1/calls/{call_id}")
    assert call["ended_at"] is None
    expected = {
        "status": "connecting", "end_reason": None, "error": None,
        "direction": "outbound", "caller_phone": THEM, "assistant_phone": OURS,
        "agent_phone": OURS, "assistant_id": assistant_id, "agent_id": assistant_id,
        "assistant_name": "Reception", "agent_name": "Reception", "number_id": number_id,
        "phone_number": OURS, "started_at": None, "duration_seconds": None, "room_name": None,
        "recording_url": None,
    }  # fmt: skip
    assert {name: call[name] for name in expected} == expected
    assert call.pop("usage") == []
    assert await calls(api) == [call]
    status, timeline = await api.ask("GET", f"/api/v1/calls/{call_id}/timeline")
    assert (status, timeline["turns"]) == (200, [])


@pytest.mark.parametrize(
    "who",
    [
        {"assistant_id": ...}, {"agent_id": ...}, {"assistant_id": ..., "agent_id": ...},
        {"assistant_id": ..., "assistant_override": {"first_message": "Hi", "metadata": {"a": 1}}},
        {"agent_id": ..., "agent_override": {"llm_config": PARROT}},
        {"assistant": {"llm_config": PARROT}}, {"agent": {"llm_config": PARROT}},
        {"agent_config": {"llm_config": PARROT, "voicemail_detection": True}},
        {"assistant": {"llm_config": PARROT}, "agent": {"llm_config": PARROT}},
        {"assistant_id": ..., "assistant": None, "assistant_override": None},
        {"assistant_id": ..., "first_message": "Good day.", "context": "Order 42."},
        {"assistant_id": ..., "first_message": None, "context": None, "number_id": None},
    ],
    ids=lambda who: " ".join(who),
)  # fmt: skip
async def test_every_mode_and_spelling_is_taken(
    api: Api, assistant_id: str, number_id: str, who: Json
) -> None:
    named = {name: assistant_id if value is ... else value for name, value in who.items()}
    status, made = await api.ask("POST", PATH, {"destination": THEM, **named})
    assert (status, made["status"]) == (201, "dialing")
    [call] = await calls(api)
    assert call["assistant_id"] == (assistant_id if ... in who.values() else None)
    assert call["number_id"] == number_id


@pytest.mark.parametrize(
    ("who", "metadata"),
    [
        ({"assistant_id": ...}, {"branch": "west"}),
        ({"assistant_id": ..., "assistant_override": {"first_message": "Hi"}}, {"branch": "west"}),
        (
            {"assistant_id": ..., "assistant_override": {"metadata": {"order": "42"}}},
            {"order": "42"},
        ),
        ({"assistant_id": ..., "assistant_override": {"metadata": None}}, None),
        ({"assistant": {"llm_config": PARROT, "metadata": {"a": [1]}}}, {"a": [1]}),
        ({"assistant": {"llm_config": PARROT}}, None),
    ],
)
@pytest.mark.usefixtures("number_id")
async def test_what_was_said_of_a_call_is_shown_with_it_at_once(
    api: Api, assistant_id: str, who: Json, metadata: Json | None
) -> None:
    own = {"metadata": {"branch": "west"}}
    await api.ask("PATCH", f"/api/v1/assistants/{assistant_id}", own)
    named = {name: assistant_id if value is ... else value for name, value in who.items()}
    await api.ask("POST", PATH, {"destination": THEM, **named})
    [call] = await calls(api)
    assert call["metadata"] == metadata


@pytest.mark.parametrize(
    ("change", "details"),
    [
        ({"destination": None}, "destination: input should be a valid string"),
        (
            {"destination": "0612345678"},
            "destination: is not a number in E.164 form, such as +31201234567",
        ),
        (
            {"destination": "0031 6 12345678"},
            "destination: is not a number in E.164 form; did you mean +31612345678?",
        ),
        (
            {"destination": "+31 (6) 1234-5678"},
            "destination: is not a number in E.164 form; did you mean +31612345678?",
        ),
        (
            {"destination": "sip:desk@example.com"},
            "destination: is not a number in E.164 form, such as +31201234567",
        ),
        ({"destination": 31612345678}, "destination: input should be a valid string"),
        ({"assistant_id": None}, "give either assistant_id or assistant"),
        ({"assistant": {"llm_config": PARROT}}, "give either assistant_id or assistant"),
        ({"agent_id": SOMEBODY}, "assistant_id: assistant_id and agent_id have different values"),
        (
            {"assistant_id": None, "assistant": {"llm_config": PARROT}, "agent": {}},
            "assistant: assistant and agent have different values",
        ),
        (
            {
                "assistant_id": None,
                "assistant": {"llm_config": PARROT},
                "assistant_override": {"first_message": "Hi"},
            },
            "assistant_override goes with assistant_id, not with assistant",
        ),
        (
            {"assistant_id": None, "assistant": {"first_message": "Hi"}},
            "assistant.llm_config: is required",
        ),
        (
            {"assistant_override": {"frist_message": "Hi"}},
            "assistant_override.frist_message: unknown field; did you mean first_message?",
        ),
        ({"number_id": "main"}, "number_id: is not a UUID"),
        ({"desination": THEM}, "desination: unknown field; did you mean destination?"),
        ({"first_message": 7}, "first_message: input should be a valid string"),
        ({"context": "x" * 20_001}, "context: string should have at most 20000 characters"),
    ],
)
async def test_a_bad_request_is_refused(
    api: Api, assistant_id: str, number_id: str, change: Json, details: str
) -> None:
    body = {"destination": THEM, "assistant_id": assistant_id, **change}
    status, code, found = await refused(api, body)
    assert (status, found) == (400, details)
    assert code == ("missing_field" if details.endswith("is required") else "invalid_request")


async def test_a_destination_is_required(api: Api, assistant_id: str) -> None:
    body = {"assistant_id": assistant_id}
    assert await refused(api, body) == (400, "missing_field", "destination: is required")


async def test_faults_of_an_override_are_named(
    api: Api, assistant_id: str, number_id: str
) -> None:
    body = {
        "destination": THEM,
        "assistant_id": assistant_id,
        "assistant_override": {"llm_config": {"provider": "nobody"}},
    }
    status, _, details = await refused(api, body)
    assert status == 400
    assert details.startswith("assistant_override.llm_config.provider: ")


async def test_an_inactive_assistant_does_not_call(api: Api, number_id: str) -> None:
    sleeping = await an_assistant(api, is_active=False)
    status, _, details = await refused(api, {"destination": THEM, "assistant_id": sleeping})
    assert (status, details) == (400, f"assistant_id: the assistant {sleeping} is not active")


async def test_what_another_tenant_has_is_not_found(
    api: Api, assistant_id: str, number_id: str
) -> None:
    theirs = await api.another_tenant()
    their_assistant = await an_assistant(theirs)
    body = {"destination": THEM, "assistant_id": assistant_id}
    for client, change in (
        (theirs, {}),
        (theirs, {"assistant_id": their_assistant, "number_id": number_id}),
        (api, {"assistant_id": SOMEBODY}),
        (api, {"number_id": SOMEBODY}),
    ):
        assert (await refused(client, body | change))[:2] == (404, "not_found")
    own = {"destination": THEM, "assistant_id": their_assistant}
    assert (await refused(theirs, own))[:2] == (422, "no_outbound_number")


async def test_the_oldest_number_that_can_call_is_chosen(api: Api, assistant_id: str) -> None:
    trunk = await a_trunk(api)
    await a_number(api, "+31201230001")
    await a_number(api, "+31201230002", transfer_trunk_id=trunk, is_active=False)
    chosen = await a_number(api, "+31201230003", transfer_trunk_id=trunk)
    await a_number(api, "+31201230004", transfer_trunk_id=trunk)
    body = {"destination": THEM, "assistant_id": assistant_id}
    assert (await api.ask("POST", PATH, body))[0] == 201
    assert [call["number_id"] for call in await calls(api)] == [chosen]


async def test_a_number_that_cannot_call_says_why(api: Api, assistant_id: str) -> None:
    trunk = await a_trunk(api)
    body = {"destination": THEM, "assistant_id": assistant_id}
    nothing = "there is no number to call from: "
    none = nothing + "the organisation has no active number with a SIP trunk"
    assert await refused(api, body) == (422, "no_outbound_number", none)
    plain = await a_number(api, "+31201230001")
    off = await a_number(api, "+31201230002", transfer_trunk_id=trunk, is_active=False)
    fine = await a_number(api, "+31201230003", transfer_trunk_id=trunk)
    await api.pool.execute("UPDATE sip_trunks SET is_active = false")
    for number, why in (
        (plain, "+31201230001 has no SIP trunk; set its transfer_trunk_id"),
        (off, "+31201230002 is not active"),
        (fine, "the SIP trunk Carrier of +31201230003 is not active"),
    ):
        found = await refused(api, body | {"number_id": number})
        assert found == (422, "no_outbound_number", nothing + why)
    assert await refused(api, body) == (422, "no_outbound_number", none)


@pytest.mark.parametrize(
    ("destination", "columns", "why"),
    [
        ("+31909123456", {}, "+31909123456 is a premium-rate number"),
        ("+99912345678", {}, "+99912345678 belongs to no country"),
        (
            THEM,
            {"outbound_refused_prefixes": ["+316"]},
            "the organisation may not call numbers that begin with +316",
        ),
        (
            THEM,
            {"outbound_allowed_prefixes": ["+32"]},
            f"{THEM} begins with none of the prefixes that the organisation may call",
        ),
    ],
)
async def test_a_destination_that_is_not_allowed_says_why(
    api: Api, assistant_id: str, number_id: str, destination: str, columns: Json, why: str
) -> None:
    for name, value in columns.items():
        await api.pool.execute(f"UPDATE organisations SET {name} = $1", value)
    body = {"destination": destination, "assistant_id": assistant_id}
    assert await refused(api, body) == (422, "destination_not_allowed", f"destination: {why}")


async def test_the_permission_of_an_organisation_is_its_own(api: Api) -> None:
    theirs = await api.another_tenant()
    await api.pool.execute(
        "UPDATE organisations SET outbound_allowed_prefixes = '{+31,+32}',"
        " outbound_refused_prefixes = '{+3190}', outbound_concurrency = 3,"
        " outbound_calls_per_second = 0.5 WHERE id = $1",
        theirs.organisation_id,
    )
    async with api.pool.acquire() as connection:
        ours = await permission_of(connection, api.organisation_id)
        assert ours == OutboundPermission(refused_prefixes=[])
        assert await permission_of(connection, theirs.organisation_id) == OutboundPermission(
            ["+31", "+32"], ["+3190"], 3, 0.5
        )


async def test_an_organisation_has_only_so_many_calls_however_many_it_asks_for_at_once(
    api: Api, assistant_id: str, number_id: str
) -> None:
    await api.pool.execute(
        "UPDATE organisations SET outbound_concurrency = 7, outbound_calls_per_second = 1000"
    )
    body = {"destination": THEM, "assistant_id": assistant_id}
    answers = await asyncio.gather(*(api.ask("POST", PATH, body) for _ in range(50)))
    assert sorted(status for status, _ in answers) == [201] * 7 + [429] * 43
    refusals = [answer for status, answer in answers if status == 429]
    assert {answer["error"]["code"] for answer in refusals} == {"too_many_calls"}
    assert {answer["retry_after"] for answer in refusals} == {1}
    assert len(await calls(api)) == 7
    await api.pool.execute(
        "UPDATE calls SET status = 'failed', end_reason = 'busy', ended_at = now()"
        " WHERE id = (SELECT min(id) FROM calls)"
    )
    assert (await api.ask("POST", PATH, body))[0] == 201
    assert (await api.ask("POST", PATH, body))[0] == 429


async def test_an_organisation_begins_only_so_many_calls_per_second(
    api: Api, assistant_id: str, number_id: str
) -> None:
    await api.pool.execute("UPDATE organisations SET outbound_calls_per_second = 0.02")
    body = {"destination": THEM, "assistant_id": assistant_id}
    assert (await api.ask("POST", PATH, body))[0] == 201
    status, answer = await api.ask("POST", PATH, body)
    assert (status, answer["error"]["code"]) == (429, "too_many_calls_per_second")
    assert 40 <= answer["retry_after"] <= 50
    assert len(await calls(api)) == 1


async def test_an_organisation_that_may_have_no_call_is_told_so(
    api: Api, assistant_id: str, number_id: str
) -> None:
    await api.pool.execute("UPDATE organisations SET outbound_concurrency = 0")
    body = {"destination": THEM, "assistant_id": assistant_id}
    assert await refused(api, body) == (
        422,
        "destination_not_allowed",
        "destination: the organisation may not call anybody",
    )


@pytest.mark.parametrize(
    "change",
    ["outbound_allowed_prefixes = '{31}'", "outbound_refused_prefixes = '{+0}'",
     "outbound_refused_prefixes = '{NULL}'", "outbound_concurrency = -1",
     "outbound_calls_per_second = 'NaN'", "outbound_calls_per_second = 0"],
)  # fmt: skip
async def test_a_permission_that_makes_no_sense_is_not_stored(api: Api, change: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await api.pool.execute(f"UPDATE organisations SET {change}")


async def test_a_fixed_path_is_not_the_id_of_a_call(api: Api) -> None:
    async with api.client.get(PATH, headers={"Authorization": f"Bearer {api.key}"}) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_repeated_request_makes_one_call(
    api: Api, assistant_id: str, number_id: str
) -> None:
    body = {"destination": THEM, "assistant_id": assistant_id}
    headers = {"Idempotency-Key": "call-anna"}
    answers = await asyncio.gather(
        *(api.ask("POST", PATH, body, headers=headers) for _ in range(4))
    )
    assert {status for status, _ in answers} == {201}
    assert len({answer["call_id"] for _, answer in answers}) == 1
    assert len(await calls(api)) == 1


@pytest.mark.parametrize(("scopes", "status"), [(["read"], 403), (["calls"], 201)])
async def test_a_key_needs_the_scope_calls(
    api: Api, assistant_id: str, number_id: str, scopes: list[str], status: int
) -> None:
    async with api.pool.acquire() as connection:
        _, key = await create_key(connection, api.organisation_id, name="k", scopes=scopes)
    client = Api(api.client, key, api.organisation_id, api.pool)
    body = {"destination": THEM, "assistant_id": assistant_id}
    assert (await client.ask("POST", PATH, body))[0] == status
