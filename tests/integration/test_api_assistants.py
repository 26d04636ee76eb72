"""`/assistants` and `/agents` over HTTP."""

from __future__ import annotations

import asyncio
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
        "postcall_stt": None,
        "postcall_llm": None,
        "recording_enabled": False,
        "recording_consent": None,
        "metadata": None,
    }


FULL: dict[str, Any] = {
    "business_name": "Bakery",
    "notification_email": "owner@example.org",
    "notification_emails": ["owner@example.org", "baker@example.org"],
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
    "postcall_stt": {"provider": "deepgram", "model": "nova-3", "language": "nl"},
    "postcall_llm": {"provider": "openai", "model": "gpt-5.4-mini"},
    "recording_enabled": True,
    "recording_consent": {"enabled": True, "message": "Press 1 to agree."},
    "metadata": {"anything": [{"at": 1.5}, None, "x" * 300]},
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


async def an_mcp_server(api: Api, name: str = "Orders") -> str:
    """Straight into the table: its own resource asks a server."""
    async with api.pool.acquire() as connection:
        return str(await connection.fetchval(
            "INSERT INTO mcp_servers (organisation_id, name, url, transport, timeout_seconds)"
            " VALUES ($1, $2, 'https://mcp.example.org/', 'sse', 20) RETURNING id",
            api.organisation_id, name,
        ))  # fmt: skip


def mcp_tool(server_id: str) -> dict[str, Any]:
    return {"type": "mcp", "mcp_server_id": server_id, "allowed_tools": ["search"]}


async def used_servers(api: Api, assistant_id: str) -> set[str]:
    async with api.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT mcp_server_id FROM assistant_mcp_servers WHERE assistant_id = $1", assistant_id
        )
    return {str(row["mcp_server_id"]) for row in rows}


async def test_tools_of_every_documented_shape_are_kept(api: Api) -> None:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
    tools: list[dict[str, Any]] = [
        {**HOURS, "parameters": schema, "url": "https://example.org", "async": True,
         "async_response": "One moment.", "message": "Looking."},
        {"type": "function", "function": {"name": "book", "description": "Book"},
         "server": {"url": "https://example.org", "secret": "x"}, "async": False},
        {"type": "end_call"},
        {"type": "transfer_call", "destinations": [
            {"type": "number", "number": "+31201234567", "description": "The boss"},
            {"type": "number", "number": "+31201234568", "description": "d", "message": "m",
             "mode": "warm", "timeout_seconds": 20, "caller_id": "+31201234569",
             "hold": "assistant"},
            {"type": "sip", "number": "sip:desk@pbx.example.org:5070;transport=tcp",
             "description": "The desk", "mode": "refer"}]},
        {**mcp_tool(await an_mcp_server(api)), "required": False},
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


BOSS = {"type": "number", "number": "+31201234567", "description": "The boss"}
DESTINATION: dict[str, Any] = {"type": "transfer_call", "destinations": [BOSS]}


def _tools(*tools: Any) -> dict[str, Any]:
    return {"llm_config": {"provider": "parrot", "tools": list(tools)}}


def _speech(**fields: Any) -> dict[str, Any]:
    return {"speech_config": fields}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: "),
    ({"name": None}, "name: "),
    ({"name": "a" * 256}, "name: "),
    ({"frist_message": "x"}, "frist_message: unknown field; did you mean first_message?"),
    ({"notification_emails": ["a@b.nl"] * 6}, "notification_emails: "),
    ({"notification_emails": ["a@b.nl", "b"]}, "notification_emails[1]: is not an e-mail address"),
    ({"recording_enabled": None}, "recording_enabled: "),
    ({"recording_consent": {"enabled": True}}, "recording_consent.message: is required"),
    ({"metadata": []}, "metadata: "),
    ({"postcall_llm": {"model": "gpt-5.4-mini"}}, "postcall_llm.provider: is required"),
    ({"postcall_llm": {"provider": "parrot", "model": "x"}}, "postcall_llm.provider: 'parrot'"),
    ({"postcall_stt": {"provider": "deepgram", "model": "nova-9"}}, "postcall_stt.model: "),
    ({"webhook_url": "https://127.0.0.1/hook"}, "webhook_url: 127.0.0.1 is not a public address"),
    ({"webhook_url": "https://u:p@example.org/"}, "webhook_url: must not hold a user name"),
    ({"stt_config": {"provider": "wyoming", "uri": "tcp://192.168.1.5:10300"}},
     "stt_config.uri: "),
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
    (_tools({**HOURS, "parameters": {"properties": {"a": {"type": "strng"}}}}),
     "llm_config.tools[0].parameters: is not a JSON Schema: properties.a.type: 'strng'"),
    (_tools({**HOURS, "parameters": {"properties": {"a": {"$ref": "https://example.org"}}}}),
     "llm_config.tools[0].parameters: has a $ref to another document"),
    (_tools({**HOURS, "parameters": {"properties": {"a": {"$ref": "#/$defs/b"}}}}),
     "llm_config.tools[0].parameters: has a $ref to #/$defs/b, which is not there"),
    (_tools({**HOURS, "parameters": {"properties": {"a": {"pattern": "["}}}}),
     "llm_config.tools[0].parameters: is not a JSON Schema: properties.a.pattern"),
    (_tools({**HOURS, "parameters": {"properties": {str(n): {} for n in range(1000)}}}),
     "llm_config.tools[0].parameters: has more than 1000 parts"),
    (_tools({**HOURS, "parameters": {"description": "x" * 65536}}),
     "llm_config.tools[0].parameters: is larger than 64 KiB"),
    (_tools(*({"name": f"f{m}", "description": "d",
               "parameters": {"properties": {str(n): {} for n in range(300)}}}
              for m in range(7))), "llm_config.tools: their parameters have more than 2000 parts"),
    (_tools({**HOURS, "url": "http://10.0.0.1/x"}),
     "llm_config.tools[0].url: 10.0.0.1 is not a public address"),
    (_tools({"type": "function", "function": HOURS, "server": {"url": "http://localhost/"}}),
     "llm_config.tools[0].server.url: localhost is not a public host"),
    (_tools({**HOURS, "url": "nowhere"}), "llm_config.tools[0].url: "),
    (_tools({**HOURS, "parametres": {}}),
     "llm_config.tools[0].parametres: unknown field; did you mean parameters?"),
    (_tools({**HOURS, "async_response": "a", "asyncResponse": "b"}),
     "llm_config.tools[0].async_response: async_response and asyncResponse have different values"),
    (_tools({"type": "function", "function": {"name": "f"}}),
     "llm_config.tools[0].function.description: is required"),
    (_tools({"type": "transfer_call", "destinations": []}),
     "llm_config.tools[0].destinations: "),
    (_tools({"type": "transfer_call", "destinations": [
        {"type": "number", "number": "020", "description": "d"}]}),
     "llm_config.tools[0].destinations[0].number: "),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "type": "sip"}]}),
     "llm_config.tools[0].destinations[0].number: is not a SIP URI"),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "number": "0031201234567"}]}),
     "llm_config.tools[0].destinations[0].number: is not a number in E.164 form; did you mean"
     " +31201234567?"),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "type": "sip", "number": "sip:a:b@c.d"}]}),
     "llm_config.tools[0].destinations[0].number: carries a password"),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "type": "fax"}]}),
     "llm_config.tools[0].destinations[0].type: "),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "mode": "cold"}]}),
     "llm_config.tools[0].destinations[0].mode: "),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "timeout_seconds": 0}]}),
     "llm_config.tools[0].destinations[0].timeout_seconds: "),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "hold": "silence"}]}),
     "llm_config.tools[0].destinations[0].hold: "),
    (_tools(DESTINATION | {"destinations": [{**BOSS, "caller_id": "Bakery"}]}),
     "llm_config.tools[0].destinations[0].caller_id: "),
    (_tools({"type": "mcp", "mcp_server_id": MCP, "allowed_tools": []}),
     f"llm_config.tools[0].mcp_server_id: no MCP server {MCP}"),
    (_tools({"type": "mcp", "mcp_server_id": "x", "allowed_tools": []}),
     "llm_config.tools[0].mcp_server_id: is not a UUID"),
    (_tools({"type": "mcp", "mcp_server_id": MCP, "allowed_tools": ["a"] * 26}),
     "llm_config.tools[0].allowed_tools: "),
    ({"llm_config": {"provider": "parrot", "tools": {}}}, "llm_config.tools: is not a list"),
    (_speech(turn_taking={"endpointing_min_delay": 0.09}),
     "speech_config.turn_taking.endpointing_min_delay: "),
    (_speech(turn_taking={"endpointing_min_delay": 3, "endpointing_max_delay": 1}),
     "speech_config.turn_taking: endpointing_max_delay is below endpointing_min_delay"),
    (_speech(turn_taking={"endpointing_min_delay": 2.5}),
     "speech_config.turn_taking: endpointing_max_delay (by default 2) is below"),
    (_speech(turn_taking={"endpointing_max_delay": 0.3}),
     "speech_config.turn_taking: endpointing_max_delay is below endpointing_min_delay (by"),
    (_speech(turn_taking={"endpointing_max_delay": 5.1}),
     "speech_config.turn_taking.endpointing_max_delay: "),
    (_speech(turn_taking={"interruption_min_duration": 0.04}),
     "speech_config.turn_taking.interruption_min_duration: "),
    (_speech(turn_taking={"interruption_min_words": -1}),
     "speech_config.turn_taking.interruption_min_words: "),
    (_speech(turn_taking={"false_interruption_timeout": 5.1}),
     "speech_config.turn_taking.false_interruption_timeout: "),
    (_speech(pronunciation=[{"from": "a" * 65, "to": "x"}]),
     "speech_config.pronunciation[0].from: "),
    (_speech(pronunciation=[{"from": "a", "to": "x" * 129}]),
     "speech_config.pronunciation[0].to: "),
    (_speech(background_audio={"volume": 1.1}), "speech_config.background_audio.volume: "),
    (_speech(silence={"messages": ["a"] * 6}), "speech_config.silence.messages: "),
    (_speech(silence={"messages": ["a" * 301]}), "speech_config.silence.messages[0]: "),
    (_speech(silence={"final_message": "a" * 301}), "speech_config.silence.final_message: "),
    (_speech(silence={"first_check_seconds": 0.9}), "speech_config.silence.first_check_seconds: "),
    (_speech(silence={"first_check_seconds": 61}), "speech_config.silence.first_check_seconds: "),
    (_speech(silence={"interval_seconds": 2.9}), "speech_config.silence.interval_seconds: "),
    (_speech(silence={"interval_seconds": 121}), "speech_config.silence.interval_seconds: "),
    (_speech(silence={"max_attempts": 11}), "speech_config.silence.max_attempts: "),
    (_speech(first_message_outbound="x" * 301), "speech_config.first_message_outbound: "),
    (_speech(end_call_phrases=["ok"] * 6), "speech_config.end_call_phrases: "),
    (_speech(end_call_phrases=["a" * 101]), "speech_config.end_call_phrases[0]: "),
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


@pytest.mark.parametrize("alias", ["number", "sip_uri"])
async def test_a_sip_destination_has_two_spellings(api: Api, alias: str) -> None:
    destination = {"type": "sip", alias: "sips:desk@pbx.example.org", "description": "d"}
    tool = {"type": "transferCall", "destinations": [destination]}
    kept = (await create(api, **_tools(tool)))["llm_config"]["tools"][0]
    assert kept["destinations"][0]["number"] == "sips:desk@pbx.example.org"


async def test_every_fault_has_a_line_of_its_own(api: Api) -> None:
    fields = {
        "webhook_url": "https://10.0.0.1/",
        "stt_config": {"provider": "nobody"},
        **_tools({**HOURS, "url": "http://[::1]/"}, mcp_tool(MCP)),
    }
    status, body = await api.ask("POST", PATH, {"name": "x", **fields})
    assert status == 400
    assert [line.partition(": ")[0] for line in body["details"]] == [
        "llm_config.tools[0].url",
        "stt_config.provider",
        "webhook_url",
        "llm_config.tools[1].mcp_server_id",
    ]


REALTIME = {"provider": "xai_realtime"}
STT = {"provider": "deepgram"}


@pytest.mark.parametrize("provider", ["google_realtime", "xai_realtime", "openai_live"])
async def test_a_realtime_assistant_has_neither_stt_nor_tts(api: Api, provider: str) -> None:
    assistant = await create(api, llm_config={"provider": provider}, stt_config=None)
    assert (assistant["stt_config"], assistant["tts_config"]) == (None, None)
    status, body = await api.ask(
        "POST", PATH, {"name": "x", "llm_config": {"provider": provider}, "stt_config": STT}
    )
    assert status == 400
    assert body["details"] == [f"stt_config: {provider} hears and speaks itself; leave it out"]


async def test_patch_decides_on_what_the_assistant_would_become(api: Api) -> None:
    assistant = await create(api, stt_config=STT)
    path = f"{PATH}/{assistant['id']}"
    status, body = await api.ask("PATCH", path, {"llm_config": REALTIME})
    assert status == 400
    assert body["details"] == ["stt_config: xai_realtime hears and speaks itself; set it to null"]
    status, body = await api.ask("PATCH", path, {"llm_config": REALTIME, "stt_config": None})
    assert (status, body["assistant"]["stt_config"]) == (200, None)
    status, body = await api.ask("PATCH", path, {"tts_config": {"provider": "espeak"}})
    assert (status, body["error"]["param"]) == (400, "tts_config")
    both = {"llm_config": {"provider": "parrot"}, "tts_config": {"provider": "espeak"}}
    status, body = await api.ask("PATCH", path, both)
    assert status == 200
    assert body["assistant"]["stt_config"] == DEFAULTS["stt"]


async def test_what_was_read_can_be_sent_back(api: Api) -> None:
    assistant = await create(api, **FULL, **_tools({**HOURS, "async": True}, DESTINATION))
    kept = ("id", "created_at", "updated_at")
    body = {name: value for name, value in assistant.items() if name not in kept}
    status, answer = await api.ask("PATCH", f"{PATH}/{assistant['id']}", body)
    assert status == 200, answer
    assert answer["assistant"] | {"updated_at": None} == assistant | {"updated_at": None}


async def test_the_mcp_servers_of_an_assistant_follow_its_tools(api: Api) -> None:
    orders, stock = await an_mcp_server(api), await an_mcp_server(api, "Stock")
    assistant = await create(api, **_tools(mcp_tool(orders), mcp_tool(orders), mcp_tool(stock)))
    assert await used_servers(api, assistant["id"]) == {orders, stock}
    path = f"{PATH}/{assistant['id']}"
    await api.ask("PATCH", path, {"first_message": "Hello"})
    assert await used_servers(api, assistant["id"]) == {orders, stock}
    await api.ask("PATCH", path, _tools(mcp_tool(stock)))
    assert await used_servers(api, assistant["id"]) == {stock}
    await api.ask("PATCH", path, {"llm_config": None})
    assert await used_servers(api, assistant["id"]) == set()
    await api.ask("PATCH", path, _tools(mcp_tool(stock)))
    assert await api.ask("DELETE", path) == (200, {"success": True})
    assert await used_servers(api, assistant["id"]) == set()


async def test_the_mcp_server_of_another_tenant_is_not_there(api: Api) -> None:
    other = await api.another_tenant()
    theirs = await an_mcp_server(other)
    status, body = await api.ask("POST", PATH, {"name": "x", **_tools(mcp_tool(theirs))})
    assert status == 400
    assert body["details"] == [f"llm_config.tools[0].mcp_server_id: no MCP server {theirs}"]


async def test_an_mcp_server_deleted_while_it_is_attached_leaves_nothing_dangling(
    api: Api,
) -> None:
    async def delete(server_id: str) -> bool:
        async with api.pool.acquire() as connection:
            try:
                await connection.execute("DELETE FROM mcp_servers WHERE id = $1", server_id)
            except asyncpg.ForeignKeyViolationError:
                return False
            return True

    for attempt in range(8):
        server = await an_mcp_server(api, f"Server {attempt}")
        attached, deleted = await asyncio.gather(
            api.ask("POST", PATH, {"name": "x", **_tools(mcp_tool(server))}), delete(server)
        )
        assert (attached[0], deleted) in {(201, False), (400, True)}, attached


async def test_a_template_named_in_a_plan_is_copied(api: Api) -> None:
    template = {
        "name": "Satisfaction",
        "schema": {"type": "object", "properties": {"satisfied": {"type": "boolean"}}},
        "system_prompt": "You judge calls.",
        "user_prompt": "{transcript} took {duration}; fill {{schema}}",
    }
    _, body = await api.ask("POST", "/api/v1/analysis-templates", template)
    template_id = body["analysis_template"]["id"]
    plan = {"structured_data_plan": {"enabled": True, "template_id": template_id}}
    assistant = await create(api, analysis_plan=plan)
    assert assistant["analysis_plan"] == {
        "structured_data_plan": {
            "enabled": True,
            "schema": template["schema"],
            "messages": [
                {"role": "system", "content": "You judge calls."},
                {"role": "user", "content": "{{transcript}} took {{duration}}; fill {{schema}}"},
            ],
        }
    }
    assert (await api.ask("DELETE", f"/api/v1/analysis-templates/{template_id}"))[0] == 200
    kept = await api.ask("GET", f"{PATH}/{assistant['id']}")
    assert kept[1]["assistant"] == assistant
    status, body = await api.ask("POST", PATH, {"name": "x", "analysis_plan": plan})
    assert status == 400
    assert body["details"] == [
        "analysis_plan.structured_data_plan.template_id: no analysis template " + template_id
    ]


async def test_the_plan_of_december_2025_is_understood(api: Api) -> None:
    plan = {"structuredDataPlan": {"enabled": True}, "min_messages_threshold": 3}
    assistant = await create(api, analysisPlan=plan)
    assert assistant["analysis_plan"] == {
        "structured_data_plan": {"enabled": True},
        "min_messages_threshold": 3,
    }


async def test_two_changes_of_different_fields_both_stay(api: Api) -> None:
    assistant = await create(api)
    path = f"{PATH}/{assistant['id']}"
    changes: list[dict[str, Any]] = [
        {"name": "New"}, {"first_message": "Hello"}, {"metadata": {"a": 1}},
        {"speech_config": {"end_call_message": "Bye."}}, {"recording_enabled": True},
    ]  # fmt: skip
    answers = await asyncio.gather(*(api.ask("PATCH", path, change) for change in changes))
    assert {status for status, _ in answers} == {200}
    kept = (await api.ask("GET", path))[1]["assistant"]
    for change in changes:
        assert kept == kept | change


async def test_an_assistant_deleted_while_it_is_attached_leaves_no_number_dangling(
    api: Api,
) -> None:
    numbers = "/api/v1/numbers"
    other = await create(api, name="Other")
    for attempt in range(8):
        assistant = await create(api)
        fields = {"phone_number": f"+3120123470{attempt}", "assistant_id": other["id"]}
        number = (await api.ask("POST", numbers, fields))[1]["number"]
        attached, deleted = await asyncio.gather(
            api.ask("PATCH", f"{numbers}/{number['id']}", {"assistant_id": assistant["id"]}),
            api.ask("DELETE", f"{PATH}/{assistant['id']}"),
        )
        assert deleted == (200, {"success": True})
        assert attached[0] in (200, 404), attached
        left = (await api.ask("GET", f"{numbers}/{number['id']}"))[1]["number"]
        assert left["assistant_id"] == (None if attached[0] == 200 else other["id"])


async def test_two_deletions_at_once_are_one(api: Api) -> None:
    assistant = await create(api)
    path = f"{PATH}/{assistant['id']}"
    answers = await asyncio.gather(*(api.ask("DELETE", path) for _ in range(3)))
    assert sorted(status for status, _ in answers) == [200, 404, 404]


async def a_campaign(api: Api, assistant_id: str, name: str, status: str) -> str:
    async with api.pool.acquire() as connection:
        return str(await connection.fetchval(
            "INSERT INTO campaigns (organisation_id, assistant_id, name, status)"
            " VALUES ($1, $2, $3, $4) RETURNING id",
            api.organisation_id, assistant_id, name, status,
        ))  # fmt: skip


async def test_an_assistant_stays_while_a_campaign_is_not_finished(api: Api) -> None:
    assistant = await create(api)
    path = f"{PATH}/{assistant['id']}"
    finished = [await a_campaign(api, assistant["id"], "Spring", "completed"),
                await a_campaign(api, assistant["id"], "Easter", "cancelled")]  # fmt: skip
    for status in ("draft", "scheduled", "paused"):
        running = await a_campaign(api, assistant["id"], "Summer", status)
        answer, body = await api.ask("DELETE", path)
        assert (answer, body["error"]["code"]) == (409, "conflict")
        assert f"is used by the campaign Summer ({status});" in body["message"]
        async with api.pool.acquire() as connection:
            await connection.execute("DELETE FROM campaigns WHERE id = $1", running)
    assert await api.ask("DELETE", path) == (200, {"success": True})
    async with api.pool.acquire() as connection:
        rows = await connection.fetch("SELECT id, assistant_id FROM campaigns")
    assert {(str(row["id"]), row["assistant_id"]) for row in rows} == {(i, None) for i in finished}


async def test_chats_and_extensions_outlive_their_assistant(api: Api) -> None:
    assistant = await create(api)
    async with api.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO chats (organisation_id, assistant_id) VALUES ($1, $2)",
            api.organisation_id, assistant["id"],
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO extensions (extension, organisation_id, assistant_id)"
            " VALUES ('9876', $1, $2)",
            api.organisation_id, assistant["id"],
        )  # fmt: skip
        assert (await api.ask("DELETE", f"{PATH}/{assistant['id']}"))[0] == 200
        assert await connection.fetchval("SELECT count(*) FROM chats WHERE assistant_id IS NULL")
        assert await connection.fetchval(
            "SELECT assistant_id IS NULL FROM extensions WHERE extension = '9876'"
        )


async def test_a_tenant_does_not_see_the_assistant_of_another(api: Api) -> None:
    assistant = await create(api)
    other = await api.another_tenant()
    path = f"{PATH}/{assistant['id']}"
    assert await other.ask("GET", PATH) == (200, {"assistants": []})
    assert (await other.ask("GET", path))[0] == 404
    assert (await other.ask("PATCH", path, {"name": "Mine"}))[0] == 404
    assert (await other.ask("DELETE", path))[0] == 404
    assert (await api.ask("GET", path))[1]["assistant"] == assistant


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
