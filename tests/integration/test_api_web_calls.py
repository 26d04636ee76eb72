"""`/web-calls` over HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from sovereign_ari.domain.ids import is_call_id
from tests.support.api import Api, running_api

PATH = "/api/v1/web-calls"
PARROT = {"provider": "parrot"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def an_assistant(api: Api, **fields: Any) -> str:
    made = await api.ask("POST", "/api/v1/assistants", {"name": "Reception", **fields})
    found: str = made[1]["assistant"]["id"]
    return found


async def tickets(api: Api) -> list[asyncpg.Record]:
    async with api.pool.acquire() as connection:
        found: list[asyncpg.Record] = await connection.fetch("SELECT * FROM web_calls")
        return found


@pytest.mark.parametrize("path", [PATH, "/v1/web-calls"])
@pytest.mark.parametrize("name", ["assistant_id", "agent_id"])
async def test_a_ticket_is_made_under_both_addresses_and_spellings(
    api: Api, path: str, name: str
) -> None:
    assistant_id = await an_assistant(api)
    status, made = await api.ask("POST", path, {name: assistant_id})
    assert status == 201
    assert set(made) == {"token", "server_url", "call_id", "expires_in"}
    assert made["expires_in"] == 60
    assert is_call_id(made["call_id"])
    assert made["call_id"].startswith("call-web-")
    assert made["server_url"] == f"ws://{api.client.host}:{api.client.port}/ws"


async def test_only_a_hash_of_the_token_is_stored_and_it_expires(api: Api) -> None:
    assistant_id = await an_assistant(api)
    override = {"first_message": "Hi", "metadata": {"page": "/contact"}}
    _, made = await api.ask("POST", PATH, {"agent_id": assistant_id, "agent_override": override})
    [row] = await tickets(api)
    assert row["call_id"] == made["call_id"]
    assert row["token_sha256"] == hashlib.sha256(made["token"].encode()).digest()
    assert made["token"] not in repr(dict(row))
    assert str(row["assistant_id"]) == assistant_id
    assert row["assistant"] == override
    left = row["expires_at"] - datetime.now(UTC)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    assert row["used_at"] is None


async def test_there_is_no_call_before_somebody_connects(api: Api) -> None:
    _, made = await api.ask("POST", PATH, {"assistant": {"llm_config": PARROT}})
    assert (await api.ask("GET", f"/api/v1/calls/{made['call_id']}"))[0] == 404
    assert (await api.ask("GET", "/api/v1/calls"))[1]["calls"] == []


@pytest.mark.parametrize("name", ["assistant", "agent", "agent_config"])
async def test_a_call_may_bring_its_own_assistant(api: Api, name: str) -> None:
    own = {"llm_config": PARROT, "first_message": "Hello", "metadata": {"any": ["thing"]}}
    status, _ = await api.ask("POST", PATH, {name: own})
    assert status == 201
    [row] = await tickets(api)
    assert row["assistant_id"] is None
    assert row["assistant"]["llm_config"]["model"] == "parrot-1"
    assert row["assistant"]["metadata"] == {"any": ["thing"]}


OWN: dict[str, Any] = {"llm_config": PARROT}
ID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "give either assistant_id or assistant"),
        ({"assistant_id": None}, "give either assistant_id or assistant"),
        ({"assistant_id": ID, "assistant": OWN}, "give either assistant_id or assistant"),
        ({"assistant": OWN, "assistant_override": {}}, "assistant_override goes with"),
        ({"assistant_override": {}}, "give either assistant_id or assistant"),
        ({"assistant_id": ID, "agent_id": ID.replace("4", "5")}, "assistant_id and agent_id"),
        ({"assistant_id": "x"}, "assistant_id: is not a UUID"),
        ({"assistant_id": 7}, "assistant_id: "),
        ({"asistant_id": ID}, "asistant_id: unknown field; did you mean assistant_id?"),
        ({"assistant": {}}, "assistant.llm_config: is required"),
        ({"assistant": {"llm_config": None}}, "assistant.llm_config: "),
        ({"assistant": {"llm_config": {"provider": "nobody"}}}, "assistant.llm_config.provider"),
        (
            {"assistant": {**OWN, "tts_config": {"provider": "espeak", "speed": 1}}},
            "assistant.tts_config.speed: 1 is not between 80 and 300",
        ),
        ({"assistant": {**OWN, "frist_message": "x"}}, "did you mean first_message?"),
        ({"assistant": {**OWN, "webhook_url": "http://127.0.0.1/"}}, "assistant.webhook_url: "),
        ({"assistant": {**OWN, "is_active": False}}, "assistant.is_active: "),
        ({"assistant": {**OWN, "max_duration_seconds": 5}}, "assistant.max_duration_seconds: "),
    ],
)  # fmt: skip
async def test_a_faulty_request_is_told_what_is_wrong_and_leaves_nothing(
    api: Api, body: dict[str, Any], fault: str
) -> None:
    status, answer = await api.ask("POST", PATH, body)
    assert status == 400, answer
    assert fault in answer["message"]
    assert await tickets(api) == []


async def test_a_fault_of_an_override_names_its_place(api: Api) -> None:
    body = {
        "assistant_id": await an_assistant(api),
        "assistant_override": {"llm_config": {"provider": "openai", "model": "gpt-1"}},
    }
    status, answer = await api.ask("POST", PATH, body)
    assert status == 400
    assert answer["error"]["param"] == "assistant_override.llm_config.model"


REALTIME = {"provider": "xai_realtime"}
ESPEAK = {"provider": "espeak"}
MCP = {"type": "mcp", "mcp_server_id": ID, "allowed_tools": ["search"]}


async def test_a_realtime_model_stands_alone(api: Api) -> None:
    assert (await api.ask("POST", PATH, {"assistant": {"llm_config": REALTIME}}))[0] == 201
    body: dict[str, Any] = {"assistant": {"llm_config": REALTIME, "tts_config": ESPEAK}}
    status, answer = await api.ask("POST", PATH, body)
    assert (status, answer["error"]["param"]) == (400, "assistant.tts_config")
    speaking = await an_assistant(api, tts_config=ESPEAK)
    body = {"assistant_id": speaking, "assistant_override": {"llm_config": REALTIME}}
    status, answer = await api.ask("POST", PATH, body)
    assert (status, answer["error"]["param"]) == (400, "assistant_override.tts_config")
    body["assistant_override"] = {"llm_config": REALTIME, "tts_config": None}
    assert (await api.ask("POST", PATH, body))[0] == 201


async def test_what_the_tools_of_a_call_name_must_exist(api: Api) -> None:
    body = {"assistant": {"llm_config": {**PARROT, "tools": [MCP]}}}
    status, answer = await api.ask("POST", PATH, body)
    assert status == 400
    assert answer["error"]["param"] == "assistant.llm_config.tools[0].mcp_server_id"


async def test_an_assistant_must_exist_and_be_active(api: Api) -> None:
    assert (await api.ask("POST", PATH, {"assistant_id": ID}))[0] == 404
    asleep = await an_assistant(api, is_active=False)
    status, answer = await api.ask("POST", PATH, {"assistant_id": asleep})
    assert status == 400
    assert answer["error"]["param"] == "assistant_id"
    assert "not active" in answer["message"]


async def test_an_assistant_of_somebody_else_does_not_exist(api: Api) -> None:
    ours = await an_assistant(api)
    they = await api.another_tenant()
    assert (await they.ask("POST", PATH, {"assistant_id": ours}))[0] == 404
    assert await tickets(api) == []


async def test_tickets_made_at_once_are_all_different(api: Api) -> None:
    made = await asyncio.gather(*(api.ask("POST", PATH, {"assistant": OWN}) for _ in range(10)))
    assert len({answer["token"] for _, answer in made}) == 10
    assert len({answer["call_id"] for _, answer in made}) == 10


async def test_the_same_request_sent_again_gives_the_same_ticket(api: Api) -> None:
    once = {"headers": {"Idempotency-Key": "order-1"}}
    first = await api.ask("POST", PATH, {"assistant": OWN}, **once)
    assert await api.ask("POST", PATH, {"assistant": OWN}, **once) == first
    assert len(await tickets(api)) == 1


async def test_the_operators_public_address_is_told(pool: asyncpg.Pool) -> None:
    async with running_api(pool, public_url="https://voice.example.com:8443") as api:
        _, made = await api.ask("POST", PATH, {"assistant": OWN})
    assert made["server_url"] == "wss://voice.example.com:8443/ws"


async def test_a_host_that_is_none_is_refused(api: Api) -> None:
    body = {"headers": {"Host": "a b/<script>"}}
    status, answer = await api.ask("POST", PATH, {"assistant": OWN}, **body)
    assert status == 400
    assert answer["error"]["param"] == "Host"


async def test_a_server_of_ones_own_is_an_outgoing_address(api: Api, pool: asyncpg.Pool) -> None:
    own = {"provider": "openai_compatible", "model": "m", "base_url": "http://10.0.0.5:8000/v1"}
    wyoming = {"provider": "wyoming", "uri": "tcp://10.0.0.5:10300"}
    body = {"assistant": {"llm_config": own, "stt_config": wyoming}}
    status, answer = await api.ask("POST", PATH, body)
    assert status == 400
    assert [line.partition(": ")[0] for line in answer["details"]] == [
        "assistant.llm_config.base_url",
        "assistant.stt_config.uri",
    ]
    async with running_api(pool, allow=["10.0.0.0/8"]) as allowing:
        assert (await allowing.ask("POST", PATH, body))[0] == 201
