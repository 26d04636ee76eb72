"""`assistant-request` over real HTTP and a real database: every form, and every fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.numbers import create_number
from db.organisations import (
    create_organisation,
    ensure_operator_organisation,
    update_organisation,
)
from sovereign_ari import call_request
from sovereign_ari.call_providers import OwnKeys
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.assistant_request import LONGEST_S, Resolution
from sovereign_ari.domain.webhook import Subject
from sovereign_ari.errors import DatabaseUnavailable
from sovereign_ari.speech.registry import ProviderRegistry
from sovereign_ari.usability import Usability
from tests.support.api import VAULT
from tests.support.asking import CALLER, Asker, answers, asker
from tests.support.rows import an_assistant
from tests.support.webhook_receiver import (
    SECRET,
    Behaviour,
    WebhookReceiver,
    huge,
    is_signed,
    sever,
    stall,
    status,
    webhook_receiver,
)
from tests.support.webhook_world import NUMBER, an_assistant_that_tells

UNLINKED = "+31207654321"
PARROT = {"provider": "parrot", "model": "parrot-1"}
ESPEAK = {"provider": "espeak", "voice_id": "en-gb"}
SAVED: dict[str, Any] = {"first_message": "Hello", "llm_config": PARROT, "metadata": {"n": 1}}


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def it(pool: asyncpg.Pool) -> AsyncIterator[Asker]:
    async with asker(pool, "127.0.0.0/8") as it:
        yield it


@pytest.fixture
async def saved_id(pool: asyncpg.Pool, receiver: WebhookReceiver) -> str:
    """An assistant that is asked about, under `NUMBER`."""
    async with pool.acquire() as connection:
        return await an_assistant_that_tells(connection, receiver.url, **SAVED)


@pytest.fixture
async def unlinked(pool: asyncpg.Pool, receiver: WebhookReceiver) -> str:
    """A number without an assistant, of an organisation with a webhook of its own."""
    async with pool.acquire() as connection:
        await ensure_operator_organisation(connection)
        owner = await create_organisation(connection, "Tenant")
        account = {"webhook_url": receiver.url, "webhook_secret": SECRET}
        await update_organisation(connection, owner, account)
        await create_number(connection, owner, {"phone_number": UNLINKED, "name": "Spare"})
    return owner


def assistant_of(resolution: Resolution) -> Assistant:
    assert resolution.route.assistant is not None
    return resolution.route.assistant


def faults_of(resolution: Resolution) -> list[str]:
    assert resolution.facts["outcome"] == "fault", resolution.facts
    return list(resolution.facts["faults"])


async def test_the_request_says_what_is_known_of_the_call_and_is_signed(
    it: Asker, receiver: WebhookReceiver, saved_id: str
) -> None:
    receiver.behaviours.append(answers({}))
    resolution = await it.ask(NUMBER)
    (request,) = receiver.received
    message = request.message
    assert request.event == request.headers["X-Webhook-Event"] == "assistant-request"
    assert request.headers["User-Agent"] == "HMS-Sovereign/1.0"
    assert is_signed(request, SECRET)
    assert message["call"] == {
        "id": "call-inbound-1",
        "type": "inbound_phone_call",
        "status": "ringing",
        "pipeline": "standard",
    }
    assert message["phone_number"]["number"] == NUMBER
    assert message["phone_number"]["name"] == "Front desk"
    assert message["customer"] == {"number": CALLER}
    assert "assistant" not in message
    assert assistant_of(resolution).id == saved_id
    assert resolution.facts["outcome"] == "default"
    assert resolution.facts["status"] == 200
    assert resolution.facts["took_ms"] >= 0
    assert resolution.facts["webhook_id"] == request.id


async def test_a_partial_transient_assistant_takes_the_rest_from_the_saved_one(
    it: Asker, receiver: WebhookReceiver, saved_id: str
) -> None:
    supplied = {"first_message": "Hi John", "metadata": {"crm_id": "7"}, "campaign": ["summer"]}
    receiver.behaviours.append(answers({"assistant": supplied}))
    resolution = await it.ask(NUMBER)
    made = assistant_of(resolution)
    assert (made.id, made.first_message, made.llm) == ("", "Hi John", PARROT)
    assert made.shown["metadata"] == {"crm_id": "7"}
    assert made.shown["campaign"] == ["summer"]
    assert made.shown["id"] is None
    assert made.webhook is not None
    assert made.webhook.secret == SECRET
    assert resolution.facts["outcome"] == "transient"
    assert resolution.facts["unread_fields"] == ["campaign"]


async def test_the_account_may_supply_everything_for_a_number_without_assistant(
    it: Asker, receiver: WebhookReceiver, unlinked: str
) -> None:
    supplied = {"name": "Anna", "llm_config": PARROT, "tts_config": ESPEAK, "first_message": "Hi"}
    receiver.behaviours.append(answers({"agent": supplied, "max_duration_seconds": 99_999}))
    resolution = await it.ask(UNLINKED)
    made = assistant_of(resolution)
    assert (made.organisation_id, made.id, made.name) == (unlinked, "", "Anna")
    assert (made.llm["provider"], made.max_duration_s) == ("parrot", LONGEST_S)
    assert made.webhook is not None
    assert (made.webhook.url, made.webhook.secret) == (receiver.url, SECRET)
    assert resolution.route.refusal is None
    assert receiver.received[0].message["phone_number"]["name"] == "Spare"


async def test_another_saved_assistant_takes_the_call_with_changes_that_are_shallow(
    it: Asker, receiver: WebhookReceiver, saved_id: str, pool: asyncpg.Pool
) -> None:
    speech = {"end_call_message": "Bye.", "turn_taking": {"interruption_min_words": 2}}
    async with pool.acquire() as connection:
        other = await an_assistant(
            connection, name="Other", first_message="Other here", speech_config=speech
        )
    override = {"speech_config": {"end_call_phrases": ["so long"]}, "metadata": {"x": 1}}
    answer = {"agent_id": other.id, "agent_override": override, "max_duration_seconds": 30}
    receiver.behaviours.append(answers(answer))
    resolution = await it.ask(NUMBER)
    made = assistant_of(resolution)
    assert (made.id, made.name, made.first_message) == (other.id, "Other", "Other here")
    assert made.end_call_phrases == ("so long",)
    assert (made.end_call_message, made.turn_taking.interruption_min_words) == (None, 0)
    assert (made.max_duration_s, made.shown["max_duration_seconds"]) == (30.0, 30)
    assert made.shown["metadata"] == {"x": 1}
    assert made.webhook is None  # the other one tells nobody
    assert resolution.facts["outcome"] == "hybrid"


async def test_the_assistant_of_the_number_may_be_named_or_changed_without_a_name(
    it: Asker, receiver: WebhookReceiver, saved_id: str
) -> None:
    override = {"first_message": "Changed"}
    for answer in (
        {"assistant_id": saved_id, "assistant_override": override},
        {"assistant_override": override},
    ):
        receiver.behaviours.append(answers(answer))
        made = assistant_of(await it.ask(NUMBER))
        assert (made.id, made.first_message, made.llm) == (saved_id, "Changed", PARROT)


async def test_a_saved_assistant_may_take_calls_of_a_number_without_one(
    it: Asker, receiver: WebhookReceiver, unlinked: str, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        chosen = await an_assistant(connection, unlinked, name="Chosen")
    receiver.behaviours.append(answers({"assistant_id": chosen.id}))
    assert assistant_of(await it.ask(UNLINKED)).id == chosen.id


async def test_a_limit_alone_changes_nothing_else(
    it: Asker, receiver: WebhookReceiver, saved_id: str
) -> None:
    receiver.behaviours.append(answers({"max_duration_seconds": 45}))
    resolution = await it.ask(NUMBER)
    made = assistant_of(resolution)
    assert (made.id, made.max_duration_s, made.first_message) == (saved_id, 45.0, "Hello")
    assert resolution.facts["outcome"] == "default"


@pytest.mark.parametrize("number", [NUMBER, UNLINKED])
async def test_a_rejection_has_a_voice_and_words(
    it: Asker, receiver: WebhookReceiver, saved_id: str, unlinked: str, number: str
) -> None:
    receiver.behaviours.append(answers({"error": "We are closed."}))
    resolution = await it.ask(number)
    assert resolution.route.rejection == "We are closed."
    assert assistant_of(resolution).tts["provider"] == "espeak"
    assert assistant_of(resolution).first_message is None
    assert resolution.facts["outcome"] == "rejected"
    assert "closed" not in str(resolution.facts)


SECRETS = {
    "webhook_secret": "of-the-call",
    "llm_config": {
        **PARROT,
        "tools": [
            {
                "type": "function",
                "function": {"name": "find", "description": "Finds"},
                "server": {"url": "https://t.example.com/", "secret": "of-the-tool"},
            }
        ],
    },
}


async def test_secrets_that_are_supplied_stay_with_the_call(
    it: Asker, receiver: WebhookReceiver, saved_id: str
) -> None:
    receiver.behaviours.append(answers({"assistant": SECRETS}))
    resolution = await it.ask(NUMBER)
    made = assistant_of(resolution)
    assert made.llm["tools"][0]["server"]["secret"] == "of-the-tool"
    assert made.webhook_secret == "of-the-call"
    assert "of-the" not in str([made.shown, resolution.facts, repr(resolution)])


DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]

FAULTS: list[tuple[Any, str]] = [
    ({"assistant": {"llm_config": {"provider": "nobody"}}}, "assistant.llm_config"),
    (
        {"assistant": {"llm_config": {"provider": "openai", "model": "gpt-0"}}},
        "assistant.llm_config.model",
    ),
    (
        {"assistant_override": {"tts_config": {"provider": "google", "voice_id": "Nobody"}}},
        "assistant_override.tts_config",
    ),
    ({"assistant": {"first_message": 7}}, "assistant.first_message"),
    ({"assistant": {"first_message": "x" * 20_001}}, "assistant.first_message"),
    ({"assistant": {"max_duration_seconds": 5}}, "assistant.max_duration_seconds"),
    ({"assistant": {"is_active": False}}, "assistant.is_active"),
    ({"assistant": {"webhook_url": "http://10.0.0.1/"}}, "assistant.webhook_url"),
    (
        {
            "assistant": {
                "llm_config": {
                    **PARROT,
                    "tools": [{"name": "f", "description": "d", "url": "http://192.168.0.1/"}],
                }
            }
        },
        "assistant.llm_config.tools[0].url",
    ),
    (
        {
            "assistant": {
                "llm_config": {
                    **PARROT,
                    "tools": [
                        {
                            "type": "mcp",
                            "mcp_server_id": "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10",
                            "allowed_tools": ["a"],
                        }
                    ],
                }
            }
        },
        "assistant.llm_config.tools[0].mcp_server_id: no MCP server",
    ),
    (
        {
            "assistant": {
                "analysis_plan": {
                    "structured_data_plan": {"template_id": "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10"}
                }
            }
        },
        "assistant.analysis_plan.structured_data_plan.template_id",
    ),
    ({"assistant": {"metadata": {"deep": DEEP}}}, "nested more than 32 levels"),
    ({"assistant": {"metadata": {"nul": "a\x00b"}}}, "NUL"),
    ({"assistant_id": "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10"}, "assistant_id: no assistant"),
    ({"assistant": "x"}, "assistant: is not an object"),
    ([], "not a JSON object"),
    ("<html>", "not JSON"),
    ("", "empty"),
    ("[" * 100_000, "nested"),
    ('{"max_duration_seconds": ' + "9" * 5000 + "}", "too long"),
    ('{"max_duration_seconds": NaN}', "NaN is not JSON"),
    (b'{"error": "\xff"}', "not UTF-8"),
]


@pytest.mark.parametrize(("answer", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
async def test_an_answer_that_cannot_be_used_leaves_the_saved_assistant_and_says_why(
    it: Asker, receiver: WebhookReceiver, saved_id: str, answer: Any, fault: str
) -> None:
    receiver.behaviours.append(answers(answer))
    resolution = await it.ask(NUMBER)
    assert any(fault in line for line in faults_of(resolution)), resolution.facts
    assert assistant_of(resolution).id == saved_id
    assert assistant_of(resolution).first_message == "Hello"
    assert (resolution.route.rejection, resolution.facts["status"]) == (None, 200)


BAD: list[tuple[str, Behaviour, str]] = [
    ("500", answers({"error": "Down."}, code=500), "answered 500"),
    ("404", status(404), "answered 404"),
    ("redirect", status(302, Location="http://127.0.0.1:1/"), "redirects are not followed"),
    ("10 MB", huge(200), "larger than"),
    ("severed", sever(), "broke off"),
]


@pytest.mark.parametrize(("behaviour", "fault"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
async def test_a_server_that_fails_leaves_the_saved_assistant(
    it: Asker, receiver: WebhookReceiver, saved_id: str, behaviour: Behaviour, fault: str
) -> None:
    receiver.behaviours.append(behaviour)
    resolution = await it.ask(NUMBER)
    assert fault in faults_of(resolution)[0]
    assert assistant_of(resolution).id == saved_id
    assert len(receiver.received) == 1  # one attempt


async def test_a_server_that_stalls_is_waited_for_no_longer_than_the_limit(
    it: Asker, receiver: WebhookReceiver, saved_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_request, "TIMEOUT_S", 0.3)
    gate = asyncio.Event()
    receiver.behaviours.append(stall(gate))
    resolution = await it.ask(NUMBER)
    gate.set()
    assert "did not answer within" in faults_of(resolution)[0]
    assert resolution.facts["status"] is None
    assert resolution.facts["took_ms"] >= 300
    assert assistant_of(resolution).id == saved_id


async def test_a_private_server_is_not_asked(
    pool: asyncpg.Pool, receiver: WebhookReceiver, saved_id: str
) -> None:
    async with asker(pool) as it:
        resolution = await it.ask(NUMBER)
    assert "127.0.0.1" in faults_of(resolution)[0] or "address" in faults_of(resolution)[0]
    assert assistant_of(resolution).id == saved_id
    assert receiver.received == []


@pytest.mark.parametrize("answer", [{}, {"max_duration_seconds": 60}, {"assistant_override": {}}])
async def test_a_number_for_which_nobody_is_named_has_nobody(
    it: Asker, receiver: WebhookReceiver, unlinked: str, answer: Any
) -> None:
    receiver.behaviours.append(answers(answer))
    route = (await it.ask(UNLINKED)).route
    assert route.assistant is None
    assert route.refusal is not None
    assert "has no assistant" in route.refusal
    assert "assistant-request" in route.refusal


async def test_a_number_without_assistant_whose_server_fails_has_nobody_and_says_why(
    it: Asker, receiver: WebhookReceiver, unlinked: str
) -> None:
    receiver.behaviours.append(status(503))
    route = (await it.ask(UNLINKED)).route
    assert route.assistant is None
    assert route.refusal is not None
    assert "answered 503" in route.refusal


async def test_an_assistant_of_somebody_else_or_one_that_is_not_active_takes_no_call(
    it: Asker, receiver: WebhookReceiver, saved_id: str, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        theirs = await an_assistant(connection, await create_organisation(connection, "Else"))
        idle = await an_assistant(connection, is_active=False)
    for chosen, fault in ((theirs.id, "no assistant"), (idle.id, "not active")):
        receiver.behaviours.append(answers({"assistant_id": chosen}))
        resolution = await it.ask(NUMBER)
        assert fault in faults_of(resolution)[0]
        assert assistant_of(resolution).id == saved_id


async def test_nobody_is_asked_about_a_number_or_an_assistant_that_is_switched_off(
    it: Asker, receiver: WebhookReceiver, unlinked: str, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        idle = await an_assistant(connection, unlinked, is_active=False)
        await create_number(
            connection, unlinked, {"phone_number": "+31201111111", "assistant_id": idle.id}
        )
        await create_number(
            connection, unlinked, {"phone_number": "+31202222222", "is_active": False}
        )
    for number in ("+31201111111", "+31202222222", "+31203333333"):
        route = await it.route(number)
        assert (route.asks, route.assistant) == (None, None)


async def test_a_model_that_speaks_itself_may_replace_one_that_needs_ears_and_a_voice(
    it: Asker, receiver: WebhookReceiver, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        await an_assistant_that_tells(connection, receiver.url, tts_config=ESPEAK)
    llm = {"provider": "openai_live", "model": "gpt-live-1"}
    receiver.behaviours.append(answers({"assistant": {"llm_config": llm}}))
    resolution = await it.ask(NUMBER)
    assert resolution.facts["outcome"] == "transient", resolution.facts
    both = {"llm_config": llm, "tts_config": ESPEAK}
    receiver.behaviours.append(answers({"assistant": both}))
    assert "assistant.tts_config" in faults_of(await it.ask(NUMBER))[0]


async def test_a_database_that_goes_away_meanwhile_leaves_the_saved_assistant_or_is_told(
    it: Asker, receiver: WebhookReceiver, saved_id: str, unlinked: str, pool: asyncpg.Pool
) -> None:
    async with pool.acquire() as connection:
        others = [await an_assistant(connection, owner) for owner in (None, unlinked)]

    async def ask(number: str, chosen: str) -> Resolution:
        route = await it.route(number)
        it.requests._pool = away
        receiver.behaviours.append(answers({"assistant_id": chosen}))
        subject = Subject("call-inbound-1", "inbound", "ringing", None, number, None, None)
        return await it.requests.ask(route, subject)

    away = asyncpg.create_pool("postgresql://nobody@127.0.0.1:1/nothing", min_size=0)
    resolution = await ask(NUMBER, others[0].id)
    assert "could not be checked" in faults_of(resolution)[0]
    assert assistant_of(resolution).id == saved_id
    with pytest.raises(DatabaseUnavailable):
        await ask(UNLINKED, others[1].id)


async def test_an_assistant_whose_vendors_cannot_be_used_here_takes_no_call(
    pool: asyncpg.Pool, receiver: WebhookReceiver, saved_id: str
) -> None:
    voice = {"provider": "elevenlabs", "voice_id": "rachel"}
    with_fallback = {**voice, "fallback": [ESPEAK]}
    async with ProviderRegistry(openai_api_key=None, openai_base_url="http://x") as registry:
        usable = Usability(registry, OwnKeys(VAULT))
        async with asker(pool, "127.0.0.0/8", unusable=usable.faults) as it:
            receiver.behaviours.append(answers({"assistant": {"tts_config": voice}}))
            first = await it.ask(NUMBER)
            receiver.behaviours.append(answers({"assistant": {"tts_config": with_fallback}}))
            second = await it.ask(NUMBER)
    (fault,) = faults_of(first)
    assert fault.startswith("assistant.tts_config: ")
    assert "elevenlabs" in fault
    assert assistant_of(first).id == saved_id
    assert assistant_of(second).tts["provider"] == "elevenlabs"
