"""`/tool-templates` and `/analysis-templates` over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.support.api import Api, running_api

TOOLS = "/api/v1/tool-templates"
ANALYSES = "/api/v1/analysis-templates"
SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
BOSS = {"type": "number", "number": "+31201234567", "description": "The boss"}
URL = "https://example.org/hook"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def create(api: Api, path: str, **fields: Any) -> dict[str, Any]:
    status, body = await api.ask("POST", path, fields)
    assert status == 201, body
    snake, camel = body.values()
    assert set(body) in (
        {"tool_template", "toolTemplate"},
        {"analysis_template", "analysisTemplate"},
    )
    assert snake == camel
    template: dict[str, Any] = snake
    return template


async def test_a_function_is_shown_under_the_keys_of_every_generation(api: Api) -> None:
    config = {"parameters": SCHEMA, "url": URL, "async": True}
    made = await create(
        api, TOOLS, name="hours", description="When", tool_type="function", tool_config=config
    )
    envelopes = {"tool_template": made, "toolTemplate": made}
    assert await api.ask("GET", f"{TOOLS}/{made['id']}") == (200, envelopes)
    listed = {"tool_templates": [made], "toolTemplates": [made]}
    assert await api.ask("GET", TOOLS) == (200, listed)
    for name in ("id", "created_at", "updated_at"):
        made.pop(name)
    assert made == {
        "org_id": api.organisation_id,
        "name": "hours",
        "description": "When",
        "tool_type": "function",
        "type": "function",
        "tool_config": config,
        "url": URL,
        "async": True,
        "async_response": None,
        "message": None,
        "parameters": SCHEMA,
        "destinations": None,
        "function_definition": {"name": "hours", "description": "When", "parameters": SCHEMA},
        "server_url": URL,
        "server_secret": None,
    }


@pytest.mark.parametrize(
    ("fields", "tool_type", "config"),
    [
        ({"tool_type": "function", "tool_config": {}}, "function", {}),
        ({"tool_type": "function", "tool_config": {"asyncResponse": "Wait."}}, "function",
         {"async_response": "Wait."}),
        ({"type": "function", "url": URL, "async": True, "parameters": SCHEMA}, "function",
         {"url": URL, "async": True, "parameters": SCHEMA}),
        ({"type": "function", "url": URL, "asyncResponse": "Wait."}, "function",
         {"url": URL, "async_response": "Wait."}),
        ({"function_definition": {"name": "f", "description": "d", "parameters": SCHEMA},
          "server_url": URL, "server_secret": "s3cret", "async": True}, "function",
         {"name": "f", "description": "d", "parameters": SCHEMA, "async": True,
          "server": {"url": URL, "secret": "s3cret"}}),
        ({"function_definition": {"name": "f", "description": "d"}, "server_url": URL},
         "function", {"name": "f", "description": "d", "server": {"url": URL}}),
        ({"tool_type": "function", "tool_config": {"server": {"url": URL, "secret": "x"}}},
         "function", {"server": {"url": URL, "secret": "x"}}),
        ({"tool_type": "end_call", "tool_config": {}}, "end_call", {}),
        ({"type": "endCall"}, "end_call", {}),
        ({"type": "end_call"}, "end_call", {}),
        ({"tool_type": "transfer_call", "tool_config": {"destinations": [BOSS]}},
         "transfer_call", {"destinations": [BOSS]}),
        ({"type": "transferCall", "destinations": [BOSS]}, "transfer_call",
         {"destinations": [BOSS]}),
        ({"tool_type": "function", "type": "function", "tool_config": {"url": URL}, "url": URL},
         "function", {"url": URL}),
    ],
)  # fmt: skip
async def test_every_form_is_stored_as_the_newest(
    api: Api, fields: dict[str, Any], tool_type: str, config: dict[str, Any]
) -> None:
    made = await create(api, TOOLS, name="hours", **fields)
    assert (made["tool_type"], made["type"], made["tool_config"]) == (tool_type, tool_type, config)
    kept = ("id", "org_id", "created_at", "updated_at")
    body = {name: value for name, value in made.items() if name not in kept}
    status, answer = await api.ask("PATCH", f"{TOOLS}/{made['id']}", body)
    assert status == 200, answer
    for name in ("url", "async", "parameters", "destinations", "server_url", "server_secret"):
        assert answer["tool_template"][name] == made[name]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"name": "f"}, "tool_type: is required"),
        ({"name": "f", "tool_type": "fax", "tool_config": {}}, "tool_type: "),
        ({"name": "f", "tool_type": None}, "tool_type: "),
        ({"tool_type": "end_call"}, "name: is required"),
        ({"name": "f", "tool_type": "end_call", "type": "function"},
         "tool_type: tool_type and type have different values"),
        ({"name": "our hours", "tool_type": "function", "tool_config": {}},
         "name: without tool_config.name it names the function, which needs a letter"),
        ({"name": "f", "tool_type": "function", "tool_config": {"name": "1f"}},
         "tool_config.name: needs a letter"),
        ({"name": "f", "tool_type": "function", "tool_config": {"ulr": URL}},
         "tool_config.ulr: unknown field; did you mean url?"),
        ({"name": "f", "tool_type": "function", "tool_config": {"parameters": {"type": "x"}}},
         "tool_config.parameters: is not the JSON Schema of an object"),
        ({"name": "f", "tool_type": "function",
          "tool_config": {"parameters": {"properties": {"a": {"type": "x"}}}}},
         "tool_config.parameters: is not a JSON Schema: properties.a.type"),
        ({"name": "f", "tool_type": "function", "tool_config": {"url": "http://10.0.0.1/"}},
         "tool_config.url: 10.0.0.1 is not a public address"),
        ({"name": "f", "tool_type": "function",
          "tool_config": {"server": {"url": "http://localhost/"}}},
         "tool_config.server.url: localhost is not a public host"),
        ({"name": "f", "type": "function", "url": "http://10.0.0.1/"},
         "url: 10.0.0.1 is not a public address"),
        ({"name": "f", "function_definition": {"name": "f", "description": "d"},
          "server_url": "http://10.0.0.1/"}, "server_url: 10.0.0.1 is not a public address"),
        ({"name": "f", "type": "function", "server_secret": "x"},
         "server_secret: needs server_url"),
        ({"name": "f", "tool_type": "function", "tool_config": {"url": URL}, "url": URL + "2"},
         "url: tool_config.url and url have different values"),
        ({"name": "f", "function_definition": {"name": "f", "description": "d",
                                               "parameters": SCHEMA},
          "parameters": {"type": "object"}},
         "function_definition.parameters: parameters and function_definition.parameters have"
         " different values"),
        ({"name": "f", "tool_type": "end_call", "tool_config": {"url": URL}},
         "tool_config.url: unknown field"),
        ({"name": "f", "type": "end_call", "url": URL}, "url: does not go with the type end_call"),
        ({"name": "f", "type": "transfer_call"}, "tool_config.destinations: is required"),
        ({"name": "f", "type": "transfer_call", "destinations": []}, "destinations: "),
        ({"name": "f", "type": "transfer_call", "destinations": [{**BOSS, "number": "020"}]},
         "destinations[0].number: is not a number in E.164 form"),
        ({"name": "f", "tool_type": "transfer_call",
          "tool_config": {"destinations": [{**BOSS, "number": "31201234567"}]}},
         "tool_config.destinations[0].number: is not a number in E.164 form; did you mean"),
        ({"name": "f", "tool_typ": "end_call"}, "tool_typ: unknown field; did you mean tool_type"),
    ],
)  # fmt: skip
async def test_a_tool_that_cannot_work_is_refused_by_field(
    api: Api, fields: dict[str, Any], line: str
) -> None:
    status, body = await api.ask("POST", TOOLS, fields)
    assert status == 400, body
    assert any(each.startswith(line) for each in body["details"]), body["details"]
    assert (await api.ask("GET", TOOLS))[1]["tool_templates"] == []


async def test_a_function_may_be_named_apart_from_its_template(api: Api) -> None:
    made = await create(
        api, TOOLS, name="Our hours", tool_type="function", tool_config={"name": "hours"}
    )
    assert made["function_definition"]["name"] == "hours"
    path = f"{TOOLS}/{made['id']}"
    status, body = await api.ask("PATCH", path, {"tool_config": {"url": URL}})
    assert (status, body["error"]["param"]) == (400, "name")
    fields = {"name": "hours", "tool_config": {"url": URL}}
    status, body = await api.ask("PATCH", path, fields)
    assert (status, body["tool_template"]["tool_config"]) == (200, {"url": URL})
    assert (await api.ask("PATCH", path, {"name": "Our hours"}))[0] == 400


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"description": None}, {"description": None}),
        ({"name": "days"}, {"name": "days"}),
        ({"url": URL + "2"}, {"tool_config": {"url": URL + "2", "async": True}}),
        ({"async": False}, {"tool_config": {"url": URL}}),
        ({"url": None}, {"tool_config": {"async": True}}),
        ({"server_url": URL, "server_secret": "x"},
         {"tool_config": {"url": URL, "async": True, "server": {"url": URL, "secret": "x"}}}),
        ({"tool_config": {"message": "Wait."}}, {"tool_config": {"message": "Wait."}}),
        ({"tool_type": "end_call"}, {"tool_type": "end_call", "tool_config": {}}),
        ({"type": "transferCall", "destinations": [BOSS]},
         {"tool_type": "transfer_call", "tool_config": {"destinations": [BOSS]}}),
    ],
)  # fmt: skip
async def test_patch_of_a_tool_changes_only_what_it_names(
    api: Api, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = await create(
        api, TOOLS, name="hours", description="d", type="function", url=URL, **{"async": True}
    )
    status, body = await api.ask("PATCH", f"{TOOLS}/{made['id']}", change)
    assert status == 200, body
    changed = body["tool_template"]
    columns = ("name", "description", "tool_type", "tool_config")
    assert {c: changed[c] for c in columns} == {c: made[c] for c in columns} | expected
    assert (await api.ask("GET", f"{TOOLS}/{made['id']}"))[1]["tool_template"] == changed


async def test_an_analysis_is_shown_under_the_keys_of_every_generation(api: Api) -> None:
    made = await create(
        api, ANALYSES, name="Mood", description="d", system_prompt="Judge.",
        user_prompt="Read {transcript}", schema=SCHEMA,
    )  # fmt: skip
    envelopes = {"analysis_template": made, "analysisTemplate": made}
    assert await api.ask("GET", f"{ANALYSES}/{made['id']}") == (200, envelopes)
    listed = {"analysis_templates": [made], "analysisTemplates": [made]}
    assert await api.ask("GET", ANALYSES) == (200, listed)
    for name in ("id", "created_at", "updated_at"):
        made.pop(name)
    assert made == {
        "org_id": api.organisation_id,
        "name": "Mood",
        "description": "d",
        "system_prompt": "Judge.",
        "user_prompt": "Read {transcript}",
        "schema": SCHEMA,
        "messages": [
            {"role": "system", "content": "Judge."},
            {"role": "user", "content": "Read {transcript}"},
        ],
        "min_messages_threshold": None,
    }


@pytest.mark.parametrize(
    ("fields", "system", "user"),
    [
        ({}, None, None),
        ({"schema": SCHEMA}, None, None),
        ({"system_prompt": "s"}, "s", None),
        ({"user_prompt": "{{transcript}}"}, None, "{{transcript}}"),
        ({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
          "min_messages_threshold": 5}, "s", "u"),
        ({"messages": [{"role": "user", "content": "u"}], "user_prompt": "u"}, None, "u"),
    ],
)  # fmt: skip
async def test_prompts_and_messages_say_the_same(
    api: Api, fields: dict[str, Any], system: str | None, user: str | None
) -> None:
    made = await create(api, ANALYSES, name="Mood", **fields)
    assert (made["system_prompt"], made["user_prompt"]) == (system, user)
    contents = [message["content"] for message in made["messages"] or []]
    assert contents == [text for text in (system, user) if text is not None]
    kept = ("id", "org_id", "created_at", "updated_at")
    body = {name: value for name, value in made.items() if name not in kept}
    status, answer = await api.ask("PATCH", f"{ANALYSES}/{made['id']}", body)
    assert status == 200, answer
    assert answer["analysis_template"] | {"updated_at": None} == made | {"updated_at": None}


async def test_patch_of_an_analysis_changes_only_what_it_names(api: Api) -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "user", "content": "more"},
    ]
    made = await create(api, ANALYSES, name="Mood", schema=SCHEMA, messages=messages)
    path = f"{ANALYSES}/{made['id']}"
    after = (await api.ask("PATCH", path, {"user_prompt": "U"}))[1]["analysis_template"]
    assert [message["content"] for message in after["messages"]] == ["s", "U", "more"]
    after = (await api.ask("PATCH", path, {"system_prompt": None}))[1]["analysis_template"]
    assert [message["content"] for message in after["messages"]] == ["U", "more"]
    after = (await api.ask("PATCH", path, {"system_prompt": "S"}))[1]["analysis_template"]
    assert [message["content"] for message in after["messages"]] == ["S", "U", "more"]
    after = (await api.ask("PATCH", path, {"messages": None}))[1]["analysis_template"]
    assert (after["messages"], after["system_prompt"], after["user_prompt"]) == (None, None, None)
    assert (after["schema"], after["name"]) == (SCHEMA, "Mood")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "name: is required"),
        ({"name": ""}, "name: "),
        ({"name": "x", "schema": []}, "schema: "),
        ({"name": "x", "schema": {"type": "strng"}}, "schema: is not a JSON Schema: type: 'str"),
        ({"name": "x", "schema": {"$ref": "https://example.org/"}}, "schema: has a $ref to anoth"),
        ({"name": "x", "schema": {"a": {"b": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}}},
         "schema: is nested more than 20 levels deep"),
        ({"name": "x", "messages": [{"role": "assistant", "content": "c"}]}, "messages[0].role: "),
        ({"name": "x", "messages": [{"role": "user", "content": "c"}], "user_prompt": "d"},
         "user_prompt: messages and user_prompt have different values"),
        ({"name": "x", "min_messages_threshold": -1}, "min_messages_threshold: "),
        ({"name": "x", "system_promt": "s"}, "system_promt: unknown field; did you mean system_p"),
    ],
)  # fmt: skip
async def test_an_analysis_that_cannot_work_is_refused_by_field(
    api: Api, fields: dict[str, Any], line: str
) -> None:
    status, body = await api.ask("POST", ANALYSES, fields)
    assert status == 400, body
    assert body["details"][0].startswith(line)


ANY_TOOL = {"name": "bye", "tool_type": "end_call", "tool_config": {}}


@pytest.mark.parametrize(
    ("path", "fields"), [(TOOLS, ANY_TOOL), (ANALYSES, {"name": "x", "schema": SCHEMA})]
)
async def test_a_template_belongs_to_one_tenant(
    api: Api, path: str, fields: dict[str, Any]
) -> None:
    made = await create(api, path, **fields)
    other = await api.another_tenant()
    own = f"{path}/{made['id']}"
    status, listed = await other.ask("GET", path)
    assert (status, [*listed.values()]) == (200, [[], []])
    assert (await other.ask("GET", own))[0] == 404
    assert (await other.ask("PATCH", own, {"name": "y"}))[0] == 404
    assert (await other.ask("DELETE", own))[0] == 404
    assert await api.ask("DELETE", own) == (200, {"success": True})
    assert (await api.ask("DELETE", own))[0] == 404


async def test_two_changes_of_different_parts_both_stay(api: Api) -> None:
    made = await create(api, TOOLS, name="hours", type="function")
    path = f"{TOOLS}/{made['id']}"
    changes: list[dict[str, Any]] = [{"url": URL}, {"message": "Wait."}, {"description": "d"}]
    await asyncio.gather(*(api.ask("PATCH", path, change) for change in changes))
    kept = (await api.ask("GET", path))[1]["tool_template"]
    assert (kept["url"], kept["message"], kept["description"]) == (URL, "Wait.", "d")
