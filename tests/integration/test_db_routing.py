"""Who answers a dialled number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from db.assistants import ASSISTANTS, delete_assistant
from db.byok import put_key
from db.demo import ensure_demo
from db.numbers import create_number, update_number
from db.organisations import (
    create_organisation,
    ensure_operator_organisation,
    update_organisation,
)
from db.routing import find_route
from db.sip_trunks import TRUNKS
from db.trunk_states import write_shared
from sovereign_ari.domain.agent import Assistant, TurnTaking
from sovereign_ari.domain.webhook import Webhook
from sovereign_ari.errors import SetupFailed
from tests.support.rows import an_assistant

DEFAULTS = {
    "llm": {"provider": "parrot", "model": "parrot"},
    "stt": {"provider": "pocketsphinx", "model": "en-us"},
    "tts": {"provider": "espeak", "voice_id": "en"},
}
NUMBER = "+31201234567"


async def test_a_number_leads_to_its_assistant_with_the_defaults_filled_in(
    connection: asyncpg.Connection,
) -> None:
    llm = {"provider": "openai", "model": "gpt-5.4"}
    speech = {
        "turn_taking": {"endpointing_min_delay": 3, "false_interruption_timeout": None},
        "end_call_message": "Goodbye.",
    }
    assistant = await an_assistant(
        connection, llm_config=llm, speech_config=speech, first_message="Hello",
        max_duration_seconds=60, silence_timeout_seconds=8.5,
    )  # fmt: skip
    number = await create_number(
        connection,
        assistant.organisation_id,
        {"phone_number": NUMBER, "assistant_id": assistant.id},
    )
    route = await find_route(connection, NUMBER, DEFAULTS)
    assert (route.organisation_id, route.number_id) == (assistant.organisation_id, number.id)
    assert (route.refusal, route.known) == (None, True)
    assert route.assistant is not None
    assert replace(route.assistant, shown={}) == Assistant(
        id=assistant.id,
        organisation_id=assistant.organisation_id,
        name="Reception",
        first_message="Hello",
        llm=llm,
        stt=DEFAULTS["stt"],
        tts=DEFAULTS["tts"],
        turn_taking=TurnTaking(3.0, 3.0, 0.3, 0, None),
        end_call_message="Goodbye.",
        max_duration_s=60.0,
        silence_timeout_s=8.5,
    )


async def test_silence_ends_no_call_that_handles_silence_by_itself(
    connection: asyncpg.Connection,
) -> None:
    assistant = await an_assistant(
        connection, silence_timeout_seconds=8.0, autonomous_silence_handling=True
    )
    await create_number(
        connection,
        assistant.organisation_id,
        {"phone_number": NUMBER, "assistant_id": assistant.id},
    )
    found = (await find_route(connection, NUMBER, DEFAULTS)).assistant
    assert found is not None
    assert (found.silence_timeout_s, found.max_duration_s) == (None, 3600.0)


@pytest.mark.parametrize("dialled", [NUMBER, "1000", "garbage", "", "1'; --", "\x00"])
async def test_an_unknown_number_is_the_operators_and_unknown(
    connection: asyncpg.Connection, dialled: str
) -> None:
    operator = await ensure_operator_organisation(connection)
    route = await find_route(connection, dialled, DEFAULTS)
    assert (route.organisation_id, route.known, route.assistant) == (operator, False, None)
    assert route.refusal == f"nobody has the number {dialled}"


@pytest.mark.parametrize(
    ("number", "assistant", "refusal"),
    [
        ({"is_active": False}, {}, f"the number {NUMBER} is switched off"),
        ({"assistant_id": None}, {}, f"the number {NUMBER} has no assistant"),
        ({}, {"is_active": False}, f"the assistant Reception of {NUMBER} is switched off"),
    ],
    ids=["inactive number", "no assistant", "inactive assistant"],
)
async def test_a_number_that_cannot_answer_says_why(
    connection: asyncpg.Connection, number: dict[str, Any], assistant: dict[str, Any], refusal: str
) -> None:
    owner = await create_organisation(connection, "Tenant")
    await ensure_operator_organisation(connection)
    row = await an_assistant(connection, owner, **assistant)
    made = await create_number(connection, owner, {"phone_number": NUMBER, "assistant_id": row.id})
    await update_number(connection, owner, made.id, number)
    route = await find_route(connection, NUMBER, DEFAULTS)
    assert (route.organisation_id, route.number_id, route.known) == (owner, made.id, True)
    assert (route.assistant, route.refusal) == (None, refusal)


async def test_the_demo_answers_extension_1000_and_keeps_what_the_operator_changed(
    connection: asyncpg.Connection,
) -> None:
    operator = await ensure_operator_organisation(connection)
    await ensure_demo(connection, operator, {"first_message": "Welcome"})
    first = (await find_route(connection, "1000", DEFAULTS)).assistant
    assert first is not None
    assert (first.name, first.first_message, first.llm) == ("Demo", "Welcome", DEFAULTS["llm"])

    await ASSISTANTS.update(connection, operator, first.id, {"name": "Mine"})
    await ensure_demo(connection, operator, {"first_message": "Other"})
    assert (await ASSISTANTS.get(connection, operator, first.id)).name == "Mine"
    assert await connection.fetchval("SELECT count(*) FROM assistants") == 1

    await delete_assistant(connection, operator, first.id)
    await ensure_demo(connection, operator, {})
    route = await find_route(connection, "1000", DEFAULTS)
    assert (route.known, route.refusal) == (True, "the number 1000 has no assistant")


async def test_a_database_without_an_operator_is_named_as_such(
    connection: asyncpg.Connection,
) -> None:
    with pytest.raises(SetupFailed, match="no operator organisation"):
        await find_route(connection, "1000", DEFAULTS)


async def test_there_is_one_operator(connection: asyncpg.Connection) -> None:
    first = await ensure_operator_organisation(connection)
    assert await ensure_operator_organisation(connection) == first


async def test_a_route_carries_the_keys_of_its_organisation_sealed_and_never_shows_them(
    connection: asyncpg.Connection,
) -> None:
    other = await create_organisation(connection, "Other")
    mine, theirs = [await an_assistant(connection, owner) for owner in (None, other)]
    for n, assistant in enumerate((mine, theirs), start=1):
        owner = assistant.organisation_id
        await put_key(connection, owner, "openai", b"sealed-%d" % n)
        await create_number(
            connection, owner, {"phone_number": f"+3120000000{n}", "assistant_id": assistant.id}
        )
    await put_key(connection, mine.organisation_id, "deepgram", b"sealed-3")
    route = await find_route(connection, "+31200000001", DEFAULTS)
    assert route.assistant is not None
    assert route.assistant.sealed_keys == {"openai": b"sealed-1", "deepgram": b"sealed-3"}
    assert "sealed-" not in repr(route)


async def test_a_route_carries_what_webhooks_show_and_where_they_go(
    connection: asyncpg.Connection,
) -> None:
    assistant = await an_assistant(
        connection,
        webhook_url="https://example.com/hooks",
        webhook_secret="whsec",
        webhook_events=["status-update"],
        metadata={"crm_id": "1"},
        gdpr_mode=True,
    )
    owner = assistant.organisation_id
    await create_number(
        connection,
        owner,
        {"phone_number": NUMBER, "assistant_id": assistant.id, "name": "Front desk"},
    )
    route = await find_route(connection, NUMBER, DEFAULTS)
    assert route.number_name == "Front desk"
    found = route.assistant
    assert found is not None
    assert found.webhook == Webhook(
        "https://example.com/hooks", "whsec", frozenset({"status-update"})
    )
    assert (found.shown["id"], found.shown["gdpr_mode"]) == (assistant.id, True)
    assert found.shown["metadata"] == {"crm_id": "1"}
    assert found.shown["llm_config"] == DEFAULTS["llm"]
    assert "whsec" not in repr(route)
    assert "whsec" not in str(found.shown)


async def test_a_route_without_a_server_of_its_own_tells_the_accounts(
    connection: asyncpg.Connection,
) -> None:
    assistant = await an_assistant(connection)
    owner = assistant.organisation_id
    await update_organisation(
        connection, owner, {"webhook_url": "https://example.com/account", "webhook_secret": "a"}
    )
    await create_number(connection, owner, {"phone_number": NUMBER, "assistant_id": assistant.id})
    found = (await find_route(connection, NUMBER, DEFAULTS)).assistant
    assert found is not None
    assert found.webhook == Webhook("https://example.com/account", "a")


async def test_the_number_decides_whose_call_it_is_that_came_from_an_address_of_several(
    connection: asyncpg.Connection,
) -> None:
    await ensure_operator_organisation(connection)
    shared, trunks = "carrier-0123456789abcdef", {}
    for number in ("+31201000001", "+31201000002", "+31201000003"):
        row = await an_assistant(connection, await create_organisation(connection, number))
        owner = row.organisation_id
        await create_number(connection, owner, {"phone_number": number, "assistant_id": row.id})
        values = {"name": "Carrier", "addresses": ["203.0.113.1"], "transport": "udp"}
        trunks[number] = (await TRUNKS.create(connection, owner, values)).id
    one, two, stranger = trunks
    sharing = {trunks[one]: shared, trunks[two]: shared}
    await write_shared(connection, "local", list(trunks.values()), sharing)

    async def came_by(number: str, trunk: str) -> tuple[bool, str | None]:
        route = await find_route(connection, number, DEFAULTS, trunk)
        return route.assistant is not None, route.trunk_id

    assert await came_by(one, shared) == (True, trunks[one])
    assert await came_by(two, shared) == (True, trunks[two])
    assert await came_by(stranger, shared) == (False, None)
    assert await came_by(one, trunks[one]) == (True, trunks[one])
    assert await came_by(one, trunks[two]) == (False, None), "an address of its own is no other's"
    assert await came_by(one, "") == (True, None)
    assert await came_by(one, "carrier-fedcba9876543210") == (False, None)

    switched_off = {"is_active": False}
    owner = (await find_route(connection, one, DEFAULTS)).organisation_id
    await TRUNKS.update(connection, owner, trunks[one], switched_off)
    assert await came_by(one, shared) == (False, None)
