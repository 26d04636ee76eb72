"""`/assistants` and `/agents` over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.support.api import DEFAULTS, Api, running_api

PATH = "/api/v1/assistants"
MCP = "00000000-0000-4000-8000-000000000000"
HOURS = {"name": "hours", "description": "When we open"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    status, body = await api.ask("POST", PATH, {"name": "Reception", **fields})
    assert status == 201, body
    assistant: dict[str, Any] = body["assistant"]
    return assistant


async def test_a_name_is_enough_and_the_rest_has_defaults(api: Api) -> None:
    assistant = await create(api)
    stamps = {assistant.pop(name) for name in ("created_at", "updated_at")}
    assert len(stamps) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamps.pop())
    assistant.pop("id")
    assert assistant == {
        "name": "Reception",
        "business_name": None,
        "notification_email": None,
        "notification_emails": None,
        "first_message": None,
        "is_active": True,
        "max_duration_seconds": None,
        "autonomous_silence_handling": False,
        "silence_timeout_seconds": None,
        "voicemail_detection": None,
        "voicemail_message": None,
        "gdpr_mode": False,
        "webhook_url": None,
        "webhook_secret": None,
        "webhook_events": None,
        "analysis_plan": None,
        "stt_config": DEFAULTS["stt"],
        "llm_config": DEFAULTS["llm"],
        "tts_config": DEFAULTS["tts"],
        "speech_config": None,
        "recording_consent": None,
    }


FULL: dict[str, Any] = {
    "business_name": "Bakery",
    "notification_email": "owner@example.org",
    "first_message": "Bakery, good day.",
    "is_active": False,
    "max_duration_seconds": 300,
    "autonomous_silence_handling": True,
    "silence_timeout_seconds": 8.5,
    "voicemail_detection": True,
    "voicemail_message": "Call back later.",
    "gdpr_mode": True,
    "webhook_url": "https://example.org/hook",
    "webhook_secret": "s3cret",
    "webhook_events": ["tool-calls", "status-update"],
    "analysis_plan": {
        "structured_data_plan": {
            "enabled": True,
            "schema": {"type": "object", "properties": {"x": {"$anything": [1.5, None]}}},
            "messages": [{"role": "system", "content": "{{transcript}}"}],
        },
        "min_messages_threshold": 5,
    },
    "speech_config": {
        "turn_taking": {"endpointing_min_delay": 0.2, "false_interruption_timeout": None},
        "pronunciation": [{"from": "Sjaak", "to": "Shahk"}],
        "background_audio": {"enabled": True, "clip": "city", "volume": 1},
        "silence": {"messages": ["Hello?"], "max_attempts": 2, "first_check_seconds": 1},
        "end_call_message": "Bye.",
        "end_call_phrases": ["good bye", "ok"],
    },
}


async def test_what_was_sent_is_what_is_read(api: Api) -> None:
    assistant = await create(api, **FULL)
    assert {name: assistant[name] for name in FULL} == FULL
    assert await api.ask("GET", f"{PATH}/{assistant['id']}") == (200, {"assistant": assistant})
    assert await api.ask("GET", PATH) == (200, {"assistants": [assistant]})


async def test_the_list_begins_with_the_newest(api: Api) -> None:
    made = [(await create(api, name=f"a{n}"))["id"] for n in range(3)]
    async with api.pool.acquire() as connection:
        for age, assistant_id in enumerate(reversed(made)):
            await connection.execute(
                "UPDATE assistants SET created_at = now() - $1 * interval '1 s' WHERE id = $2",
                age, assistant_id,
            )  # fmt: skip
    listed = [each["id"] for each in (await api.ask("GET", PATH))[1]["assistants"]]
    assert listed == made[::-1]


async def test_patch_changes_only_what_it_names(api: Api) -> None:
    before = await create(api, **FULL)
    change = {"first_message": None, "recording_consent": {"enabled": True, "message": "Ok?"},
              "notification_emails": ["a@b.nl"]}  # fmt: skip
    status, body = await api.ask("PATCH", f"{PATH}/{before['id']}", change)
    after = body["assistant"]
    assert status == 200
    assert after.pop("updated_at") >= before.pop("updated_at")
    assert after == before | change


async def test_patch_replaces_a_block_whole_and_null_restores_the_default(api: Api) -> None:
    llm = {"provider": "openai", "model": "gpt-5.4-mini", "temperature": 0.1,
           "messages": [{"role": "system", "content": "Be kind."}]}  # fmt: skip
    assistant = await create(api, llm_config=llm, speech_config=FULL["speech_config"])
    assert assistant["llm_config"] == llm
    path = f"{PATH}/{assistant['id']}"
    change: dict[str, Any] = {
        "llm_config": {"provider": "openai", "model": "gpt-5.4"},
        "speech_config": {"end_call_message": "Ciao."},
    }
    after = (await api.ask("PATCH", path, change))[1]["assistant"]
    assert after["llm_config"] == {"provider": "openai", "model": "gpt-5.4", "temperature": 0.7}
    assert after["speech_config"] == {"end_call_message": "Ciao."}
    cleared = (await api.ask("PATCH", path, {"llm_config": None}))[1]["assistant"]
    assert cleared["llm_config"] == DEFAULTS["llm"]


async def test_an_empty_patch_changes_nothing(api: Api) -> None:
    before = await create(api)
    status, body = await api.ask("PATCH", f"{PATH}/{before['id']}", {})
    assert (status, body["assistant"] | {"updated_at": before["updated_at"]}) == (200, before)


async def test_agents_is_the_same_resource_in_its_own_envelopes(api: Api) -> None:
    status, body = await api.ask("POST", "/api/v1/agents", {"name": "Old"})
    agent = body["agent"]
    path = f"/api/v1/agents/{agent['id']}"
    assert status == 201
    assert await api.ask("GET", "/api/v1/agents") == (200, {"agents": [agent]})
    assert await api.ask("GET", path) == (200, {"agent": agent})
    assert await api.ask("GET", f"{PATH}/{agent['id']}") == (200, {"assistant": agent})
    assert (await api.ask("PATCH", path, {"name": "New"}))[1]["agent"]["name"] == "New"
    assert await api.ask("DELETE", path) == (200, {"success": True})
    assert (await api.ask("DELETE", path))[0] == 404


async def test_a_deleted_assistant_leaves_its_numbers_without_one(api: Api) -> None:
    assistant = await create(api)
    number = {"phone_number": "+31201234567", "assistant_id": assistant["id"]}
    made = (await api.ask("POST", "/api/v1/numbers", number))[1]["number"]
    assert await api.ask("DELETE", f"{PATH}/{assistant['id']}") == (200, {"success": True})
    left = (await api.ask("GET", f"/api/v1/numbers/{made['id']}"))[1]["number"]
    assert (left["assistant_id"], left["agent_id"], left["assistant_name"]) == (None, None, None)


async def test_tools_of_every_documented_shape_are_kept(api: Api) -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
    tools: list[dict[str, Any]] = [
        {**HOURS, "parameters": schema, "url": "https://example.org", "async": True,
         "async_response": "One moment.", "message": "Looking."},
        {"type": "function", "function": {"name": "book", "description": "Book"},
         "server": {"url": "https://example.org", "secret": "x"}, "async": False},
        {"type": "end_call"},
        {"type": "transfer_call", "destinations": [
            {"type": "number", "number": "+31201234567", "description": "The boss"}]},
        {"type": "mcp", "mcp_server_id": MCP, "allowed_tools": ["search"]},
    ]  # fmt: skip
    assistant = await create(api, llm_config={"provider": "parrot", "tools": tools})
    assert assistant["llm_config"]["tools"] == tools


async def test_older_spellings_are_stored_in_the_new_one(api: Api) -> None:
    destination = {"type": "number", "number": "+31201234567", "description": "d"}
    tools = [{"type": "endCall"}, {"type": "transferCall", "destinations": [destination]},
             {**HOURS, "asyncResponse": "One moment."}]  # fmt: skip
    tts = {"provider": "11labs", "voice_id": "abc"}
    llm = {"provider": "parrot", "tools": tools}
    assistant = await create(api, llm_config=llm, tts_config=tts)
    kept = assistant["llm_config"]["tools"]
    assert [tool.get("type") for tool in kept] == ["end_call", "transfer_call", None]
    assert kept[2] == {**HOURS, "async_response": "One moment."}
    assert assistant["tts_config"]["provider"] == "elevenlabs"


def _tools(*tools: Any) -> dict[str, Any]:
    return {"llm_config": {"provider": "parrot", "tools": list(tools)}}


def _speech(**fields: Any) -> dict[str, Any]:
    return {"speech_config": fields}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: "),
    ({"name": None}, "name: "),
    ({"name": "a" * 256}, "name: "),
    ({"frist_message": "x"}, "frist_message: unknown field; did you mean first_message?"),
    ({"notification_emails": ["a@b.nl"]}, "notification_emails: unknown field"),
    ({"notification_email": "nobody"}, "notification_email: "),
    ({"is_active": 1}, "is_active: "),
    ({"is_active": "true"}, "is_active: "),
    ({"is_active": None}, "is_active: "),
    ({"max_duration_seconds": 9}, "max_duration_seconds: "),
    ({"max_duration_seconds": 14401}, "max_duration_seconds: "),
    ({"max_duration_seconds": 60.5}, "max_duration_seconds: "),
    ({"max_duration_seconds": "60"}, "max_duration_seconds: "),
    ({"max_duration_seconds": 10**400}, "max_duration_seconds: "),
    ({"max_duration_seconds": True}, "max_duration_seconds: "),
    ({"silence_timeout_seconds": 1.99}, "silence_timeout_seconds: "),
    ({"silence_timeout_seconds": 601}, "silence_timeout_seconds: "),
    ({"silence_timeout_seconds": 10**400}, "silence_timeout_seconds: "),
    ({"webhook_url": "ftp://example.org"}, "webhook_url: "),
    ({"webhook_url": "https://"}, "webhook_url: "),
    ({"webhook_events": ["hang-up"]}, "webhook_events[0]: "),
    ({"analysis_plan": {"structured_data_plan": {"shema": {}}}},
     "analysis_plan.structured_data_plan.shema: unknown field; did you mean schema?"),
    ({"llm_config": []}, "llm_config: "),
    ({"llm_config": {}}, "llm_config.provider: is required"),
    ({"llm_config": {"provider": "opnai"}}, "llm_config.provider: 'opnai' is unknown"),
    ({"llm_config": {"provider": []}}, "llm_config.provider: must be a string"),
    ({"llm_config": {"provider": "openai", "model": "gpt-1"}}, "llm_config.model: "),
    ({"llm_config": {"provider": "openai", "temperature": 3}}, "llm_config.temperature: "),
    ({"stt_config": {"provider": "espeak"}}, "stt_config.provider: "),
    ({"tts_config": {"provider": "espeak", "vioce": 1}}, "tts_config.vioce: "),
    (_tools("x"), "llm_config.tools[0]: is not an object"),
    (_tools({"type": "hang_up"}), "llm_config.tools[0].type: is not one of function, end_call"),
    (_tools({"type": None, **HOURS}), "llm_config.tools[0].type: "),
    (_tools({"name": "a"}), "llm_config.tools[0].description: is required"),
    (_tools({**HOURS, "name": "1a"}), "llm_config.tools[0].name: "),
    (_tools({**HOURS, "name": "a b"}), "llm_config.tools[0].name: "),
    (_tools({**HOURS, "name": "a" * 65}), "llm_config.tools[0].name: "),
    (_tools(HOURS, HOURS), "llm_config.tools[1]: a tool named hours stands in the list already"),
    (_tools({**HOURS, "parameters": []}), "llm_config.tools[0].parameters: "),
    (_tools({**HOURS, "parameters": {"type": "string"}}),
     "llm_config.tools[0].parameters: is not the JSON Schema of an object"),
    (_tools({**HOURS, "url": "nowhere"}), "llm_config.tools[0].url: "),
    (_tools({**HOURS, "parametres": {}}),
     "llm_config.tools[0].parametres: unknown field; did you mean parameters?"),
    (_tools({**HOURS, "async_response": "a", "asyncResponse": "b"}),
     "llm_config.tools[0]: async_response and asyncResponse have different values"),
    (_tools({"type": "function", "function": {"name": "f"}}),
     "llm_config.tools[0].function.description: is required"),
    (_tools({"type": "transfer_call", "destinations": []}),
     "llm_config.tools[0].destinations: "),
    (_tools({"type": "transfer_call", "destinations": [
        {"type": "number", "number": "020", "description": "d"}]}),
     "llm_config.tools[0].destinations[0].number: "),
    (_tools({"type": "mcp", "mcp_server_id": "x", "allowed_tools": []}),
     "llm_config.tools[0].mcp_server_id: is not a UUID"),
    (_tools({"type": "mcp", "mcp_server_id": MCP, "allowed_tools": ["a"] * 26}),
     "llm_config.tools[0].allowed_tools: "),
    ({"llm_config": {"provider": "parrot", "tools": {}}}, "llm_config.tools: is not a list"),
    (_speech(turn_taking={"endpointing_min_delay": 0.09}),
     "speech_config.turn_taking.endpointing_min_delay: "),
    (_speech(turn_taking={"endpointing_min_delay": 3, "endpointing_max_delay": 1}),
     "speech_config.turn_taking: endpointing_max_delay is below endpointing_min_delay"),
    (_speech(turn_taking={"interruption_min_words": 11}),
     "speech_config.turn_taking.interruption_min_words: "),
    (_speech(turn_taking={"false_interruption_timeout": 0.1}),
     "speech_config.turn_taking.false_interruption_timeout: "),
    (_speech(pronunciation=[{"from": "", "to": "x"}]), "speech_config.pronunciation[0].from: "),
    (_speech(pronunciation=[{"from": "a", "to": "b"}] * 51), "speech_config.pronunciation: "),
    (_speech(background_audio={"clip": "beach"}), "speech_config.background_audio.clip: "),
    (_speech(background_audio={"volume": 0}), "speech_config.background_audio.volume: "),
    (_speech(silence={"max_attempts": 0}), "speech_config.silence.max_attempts: "),
    (_speech(silence={"messages": [""]}), "speech_config.silence.messages[0]: "),
    (_speech(end_call_message="x" * 301), "speech_config.end_call_message: "),
    (_speech(end_call_phrases=["a!"]), "speech_config.end_call_phrases[0]: "),
    (_speech(end_call_phrase=["bye"]),
     "speech_config.end_call_phrase: unknown field; did you mean end_call_phrases?"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "line"), BAD, ids=[line[:60] for _, line in BAD])
async def test_a_field_that_cannot_work_is_refused_by_name(
    api: Api, fields: dict[str, Any], line: str
) -> None:
    status, body = await api.ask("POST", PATH, {"name": "Reception", **fields})
    assert status == 400, body
    assert len(body["details"]) == 1
    assert body["details"][0].startswith(line)
    assert body["error"]["type"] == "validation_error"
    assert body["error"]["param"] == line.partition(": ")[0]
    assert await api.ask("GET", PATH) == (200, {"assistants": []})
