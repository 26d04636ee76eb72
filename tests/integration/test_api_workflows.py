"""`/workflows` over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from api.resources.workflow_bodies import DEFINITION
from tests.support.api import Api, running_api
from tests.support.lock_waits import until_somebody_waits
from tests.support.workflows import definition, talk, way

PATH = "/api/v1/workflows"
SOMEBODY = "00000000-0000-4000-8000-000000000000"
NUMBER = "+31201234567"
TOOL = {"id": "find", "type": "tool", "tool_name": "find"}
EVERYTHING = definition(
    talk(
        first_line="Hello",
        ui={"x": -10.5, "y": 2},
        llm_config={"provider": "openai", "model": "gpt-5.4-mini", "temperature": 0.2},
        voice="nova",
        stt_config={"provider": "deepgram", "model": "nova-3", "language": "nl"},
        tools=[
            {"name": "look_up", "description": "Looks up", "url": "https://example.com/t"},
            {"type": "function", "function": {"name": "f", "description": "F"}, "async": True,
             "server": {"url": "https://example.com/f", "secret": "s"}},
            {"type": "end_call"},
            {"type": "transfer_call",
             "destinations": [{"type": "number", "number": NUMBER, "description": "d"}]},
        ],
    ),
    talk("anywhere", **{"global": True, "global_description": "When asked for a person"}),
    {**TOOL, "url": "https://example.com/find", "arguments": {"days": [1, {"deep": None}]},
     "first_line": "One moment"},
    {"id": "colleague", "type": "transfer", "destination": NUMBER, "first_line": "Hold on"},
    {"id": "goodbye", "type": "end", "first_line": "Goodbye", "ui": {"x": 0, "y": 0}},
    edges=[
        way("start", "find", message="Let me see"),
        {"from": "find", "to": "start"},
        way("anywhere", "colleague"),
        way("start", "goodbye"),
        way("anywhere", "start"),
    ],
) | {"global_prompt": "Be brief."}  # fmt: skip


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def make(api: Api, graph: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {"name": "Appointments", "definition": graph, **fields}
    status, answer = await api.ask("POST", PATH, body)
    assert status == 201, answer
    made: dict[str, Any] = answer["workflow"]
    return made


async def make_number(api: Api, number: str, **fields: Any) -> str:
    status, answer = await api.ask("POST", "/api/v1/numbers", {"phone_number": number, **fields})
    assert status == 201, answer
    return f"/api/v1/numbers/{answer['number']['id']}"


async def make_mcp_server(api: Api, name: str = "Tools") -> str:
    made = await api.pool.fetchval(
        "INSERT INTO mcp_servers (organisation_id, name, url, transport, timeout_seconds)"
        " VALUES ($1, $2, 'https://example.com/mcp', 'sse', 20) RETURNING id",
        api.organisation_id,
        name,
    )
    return str(made)


def mcp_tool(server_id: str) -> dict[str, Any]:
    return {"type": "mcp", "mcp_server_id": server_id, "allowed_tools": ["search"]}


async def used_servers(api: Api) -> list[str]:
    rows = await api.pool.fetch("SELECT mcp_server_id FROM workflow_mcp_servers ORDER BY 1")
    return [str(row["mcp_server_id"]) for row in rows]


@pytest.mark.parametrize("graph", [definition(), EVERYTHING, DEFINITION])
async def test_a_definition_comes_back_as_it_was_sent(api: Api, graph: dict[str, Any]) -> None:
    made = await make(api, graph)
    assert await api.ask("GET", f"{PATH}/{made['id']}") == (200, {"workflow": made})
    assert made["definition"] == graph
    assert (made["name"], made["is_active"]) == ("Appointments", True)
    assert set(made) == {"id", "name", "is_active", "definition", "created_at", "updated_at"}


async def test_the_list_has_summaries_newest_first(api: Api) -> None:
    older = await make(api, EVERYTHING, is_active=False)
    newer = await make(api, definition(), name="Newer")
    status, body = await api.ask("GET", PATH)
    assert status == 200
    assert body["workflows"] == [
        {
            "id": made["id"],
            "name": made["name"],
            "is_active": made["is_active"],
            "entry_node": "start",
            "node_count": nodes,
            "edge_count": edges,
            "created_at": made["created_at"],
            "updated_at": made["updated_at"],
        }
        for made, nodes, edges in ((newer, 1, 0), (older, 5, 5))
    ]


async def test_older_spellings_of_tools_and_providers_become_ours(api: Api) -> None:
    node = talk(
        tools=[{"type": "endCall"}],
        tts_config={"provider": "11labs", "voice_id": "v", "model": "eleven_flash_v2_5"},
    )
    kept = (await make(api, definition(node)))["definition"]["nodes"][0]
    assert kept["tools"] == [{"type": "end_call"}]
    assert kept["tts_config"]["provider"] == "elevenlabs"


def node(**fields: Any) -> dict[str, Any]:
    return definition(talk(**fields))


@pytest.mark.parametrize(
    ("graph", "line"),
    [
        (None, "definition: is not an object"),
        ([], "definition: is not an object"),
        ({**definition(), "version": 2}, "definition.version: input should be 1"),
        ({**definition(), "version": True}, "definition.version: input should be 1"),
        ({**definition(), "version": "1"}, "definition.version: input should be 1"),
        ({**definition(), "entry": "start"},
         "definition.entry: unknown field; did you mean entry_node?"),
        ({**definition(), "entry_node": "begin"},
         "definition.entry_node: there is no node 'begin'"),
        ({**definition(), "global_prompt": "x" * 20_001}, "definition.global_prompt: "),
        ({**definition(), "nodes": []}, "definition.nodes: has 0 items; 1 to 200 are allowed"),
        ({**definition(), "nodes": [talk(f"n{n}") for n in range(201)]},
         "definition.nodes: has 201 items; 1 to 200 are allowed"),
        ({**definition(), "edges": [way("start", "start")] * 1001},
         "definition.edges: has 1001 items; 0 to 1000 are allowed"),
        ({**definition(), "edges": {}}, "definition.edges: is not a list"),
        ({"version": 1, "entry_node": "start", "nodes": [talk()]},
         "definition.edges: is required"),
        (definition(talk("Start")), "definition.nodes[0].id: needs a lower-case letter first"),
        (definition(talk("1st")), "definition.nodes[0].id: needs a lower-case letter first"),
        (definition(talk("a" * 42)), "definition.nodes[0].id: needs a lower-case letter first"),
        (definition(talk("start\n")), "definition.nodes[0].id: needs a lower-case letter first"),
        (definition(talk("stärt")), "definition.nodes[0].id: needs a lower-case letter first"),
        (definition(talk(), "x"), "definition.nodes[1]: is not an object"),  # type: ignore[arg-type]
        (definition(talk(), {"id": "b"}), "definition.nodes[1].type: is required"),
        (definition(talk(), {"id": "b", "type": "talk"}),
         "definition.nodes[1].type: is not one of conversation, tool, transfer, end"),
        (definition(talk(), {"id": "b", "type": ["end"]}), "definition.nodes[1].type: "),
        (node(instructions=""), "definition.nodes[0].instructions: "),
        (node(instructions="x" * 20_001), "definition.nodes[0].instructions: "),
        (definition({"id": "start", "type": "conversation"}),
         "definition.nodes[0].instructions: is required"),
        (node(instruction="x"),
         "definition.nodes[0].instruction: unknown field; did you mean instructions?"),
        (node(first_line=5), "definition.nodes[0].first_line: "),
        (node(ui={"x": 1}), "definition.nodes[0].ui.y: is required"),
        (node(ui={"x": 10**400, "y": 0}), "definition.nodes[0].ui.x: "),
        (node(ui={"x": 1, "y": 0, "z": 0}), "definition.nodes[0].ui.z: unknown field"),
        (node(**{"global": True}), "definition.nodes[0].global_description: is required"),
        (node(**{"global": 1}), "definition.nodes[0].global: "),
        (node(voice="v", tts_config={"provider": "elevenlabs", "voice_id": "v"}),
         "definition.nodes[0].voice: cannot stand beside tts_config"),
        (node(voice=""), "definition.nodes[0].voice: "),
        (node(tts_config={"provider": "elevenlab", "voice_id": "v"}),
         "definition.nodes[0].tts_config.provider: 'elevenlab' is unknown; did you mean"),
        (node(tts_config={"provider": "elevenlabs"}),
         "definition.nodes[0].tts_config.voice_id: is required"),
        (node(tts_config=[]), "definition.nodes[0].tts_config: "),
        (node(stt_config={"provider": "deepgram", "endpointing": -1}),
         "definition.nodes[0].stt_config.endpointing: "),
        (node(stt_config={}), "definition.nodes[0].stt_config.provider: is required"),
        (node(llm_config={"provider": "opnai"}),
         "definition.nodes[0].llm_config.provider: 'opnai' is unknown; did you mean 'openai'?"),
        (node(llm_config={"provider": "mistral", "model": "gpt-5.4"}),
         "definition.nodes[0].llm_config.model: 'gpt-5.4' is not one of mistral"),
        (node(llm_config={"temperature": 2.1}), "definition.nodes[0].llm_config.temperature: "),
        (node(llm_config={"provider": 5}), "definition.nodes[0].llm_config.provider: "),
        (node(llm_config={"voice": "ara"}), "definition.nodes[0].llm_config.voice: unknown field"),
        (node(tools={}), "definition.nodes[0].tools: is not a list"),
        (node(tools=[{"name": "f"}]), "definition.nodes[0].tools[0].description: is required"),
        (node(tools=[{"type": "endcall"}]), "definition.nodes[0].tools[0].type: is not one of"),
        (node(tools=[{"name": "f", "description": "d", "url": "http://10.0.0.1/"}]),
         "definition.nodes[0].tools[0].url: 10.0.0.1 is not a public address"),
        (node(tools=[{"type": "function", "function": {"name": "f", "description": "d"},
                      "server": {"url": "http://localhost/x"}}]),
         "definition.nodes[0].tools[0].server.url: localhost is not a public host"),
        (node(tools=[mcp_tool(SOMEBODY)]),
         "definition.nodes[0].tools[0].mcp_server_id: no MCP server 00000000-"),
        (definition(talk(), {"id": "find", "type": "tool"},
                    edges=[way("start", "find"), way("find", "start")]),
         "definition.nodes[1].tool_name: is required"),
        (definition(talk(), {**TOOL, "tool_name": "find slot"}, edges=[way("start", "find")]),
         "definition.nodes[1].tool_name: needs a letter or _ first"),
        (definition(talk(), {**TOOL, "url": "https://[::1]/"}, edges=[way("start", "find")]),
         "definition.nodes[1].url: "),
        (definition(talk(), {**TOOL, "arguments": []}, edges=[way("start", "find")]),
         "definition.nodes[1].arguments: "),
        (definition(talk(), {**TOOL, "instructions": "x"}, edges=[way("start", "find")]),
         "definition.nodes[1].instructions: unknown field"),
        (definition(talk(), TOOL, edges=[way("start", "find")]),
         "definition.nodes[1]: a tool node needs exactly one outgoing edge, not 0"),
        (definition(talk(), {"id": "b", "type": "transfer", "destination": "0201234567"}),
         "definition.nodes[1].destination: is not a number in E.164 form"),
        (definition(talk(), {"id": "b", "type": "transfer"}),
         "definition.nodes[1].destination: is required"),
        (definition(talk(), talk()), "definition.nodes[1].id: start is the id of nodes[0]"),
        (definition(talk(), talk("b")), "definition.nodes[1]: b cannot be reached from start"),
        (definition(talk(), edges=[way("start", "start")]),
         "definition.edges[0].to: is the node that the edge leaves"),
        (definition(talk(), talk("b"), edges=[way("start", "b"), way("start", "b")]),
         "definition.edges[1]: edges[0] joins the same nodes already"),
        (definition(talk(), talk("b"), edges=[way("start", "c")]),
         "definition.edges[0].to: there is no node 'c'"),
        (definition(talk(), talk("b"), edges=[{"from": "start", "to": "b"}]),
         "definition.edges[0].description: is required"),
        (definition(talk(), talk("b"), edges=[way("start", "b", description="")]),
         "definition.edges[0].description: "),
        (definition(talk(), talk("b"), edges=[{"to": "b", "description": "d"}]),
         "definition.edges[0].from: is required"),
        (definition(talk(), talk("b"), edges=[way("start", "b", mesage="x")]),
         "definition.edges[0].mesage: unknown field; did you mean message?"),
        (definition(talk(), {"id": "e", "type": "end"}, edges=[way("start", "e"),
                                                               way("e", "start")]),
         "definition.edges[1].from: e is an end node"),
        (definition(talk(), TOOL, {**TOOL, "id": "b"}, edges=[
            way("start", "find"), way("find", "b"), way("b", "find")]),
         "definition.nodes[1]: tool nodes lead round in a circle (find → b → find)"),
    ],
)  # fmt: skip
async def test_a_bad_definition_is_refused(api: Api, graph: Any, line: str) -> None:
    status, body = await api.ask("POST", PATH, {"name": "Bad", "definition": graph})
    assert (status, body["error"]["type"]) == (400, "validation_error")
    assert body["details"][0].startswith(line)
    assert body["error"]["param"] == body["details"][0].partition(":")[0]
    assert await api.ask("GET", PATH) == (200, {"workflows": []})


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "definition: is required"),
        ({"definition": definition(), "name": ""}, "name: "),
        ({"definition": definition(), "name": None}, "name: "),
        ({"definition": definition(), "is_active": None}, "is_active: "),
        ({"definition": definition(), "is_active": 1}, "is_active: "),
        ({"definition": definition(), "active": True},
         "active: unknown field; did you mean is_active?"),
    ],
)  # fmt: skip
async def test_a_bad_workflow_is_refused(api: Api, fields: dict[str, Any], line: str) -> None:
    status, body = await api.ask("POST", PATH, {"name": "Bad", **fields})
    assert status == 400
    assert body["details"][0].startswith(line)


async def test_every_fault_has_its_line(api: Api) -> None:
    graph = definition(
        talk(instructions="", tools=[{"type": "x"}]), {"id": "find", "type": "tool"}, talk("b"),
        edges=[{"from": "start", "to": "nowhere"}],
    )  # fmt: skip
    status, body = await api.ask("POST", PATH, {"name": "Bad", "definition": graph})
    assert status == 400
    assert [line.partition(":")[0] for line in body["details"]] == [
        "definition.nodes[0].instructions",
        "definition.nodes[0].tools[0].type",
        "definition.nodes[1].tool_name",
        "definition.nodes[1]",
        "definition.edges[0].to",
        "definition.edges[0].description",
    ]
    assert body["message"].endswith("(and 5 more)")


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"provider": "xai_realtime"}, "provider"),
        ({"provider": "google_realtime", "temperature": 1}, "provider"),
        ({"provider": "openai_live", "model": "gpt-live-1"}, "provider"),
        ({"model": "gpt-live-1"}, "model"),
    ],
)
async def test_a_realtime_provider_of_a_node_has_a_code_of_its_own(
    api: Api, config: dict[str, Any], field: str
) -> None:
    graph = definition(talk(first_line=5), talk("b", llm_config=config), edges=[way("start", "b")])
    status, body = await api.ask("POST", PATH, {"name": "Bad", "definition": graph})
    assert (status, body["error"]["code"]) == (400, "realtime_provider_not_allowed_per_node")
    assert body["error"]["param"] == f"definition.nodes[1].llm_config.{field}"
    assert len(body["details"]) == 2


async def test_the_model_of_a_node_may_stand_alone(api: Api) -> None:
    for config in ({"model": "gpt-5.4-mini"}, {"temperature": 0}, {"provider": "mistral"}, {}):
        kept = await make(api, node(llm_config=config))
        assert kept["definition"]["nodes"][0]["llm_config"] == config


async def test_what_was_refused_once_leaves_nothing_behind(api: Api) -> None:
    made = await make(api, definition())
    change = {"name": "Changed", "definition": definition(talk(), talk("b"))}
    assert (await api.ask("PATCH", f"{PATH}/{made['id']}", change))[0] == 400
    assert await api.ask("GET", f"{PATH}/{made['id']}") == (200, {"workflow": made})


async def test_patch_changes_only_what_it_names_and_the_definition_whole(api: Api) -> None:
    made = await make(api, EVERYTHING)
    path = f"{PATH}/{made['id']}"
    changed = (await api.ask("PATCH", path, {"is_active": False}))[1]["workflow"]
    assert changed | {"updated_at": made["updated_at"]} == made | {"is_active": False}
    changed = (await api.ask("PATCH", path, {"definition": definition()}))[1]["workflow"]
    assert (changed["definition"], changed["name"]) == (definition(), made["name"])
    assert (await api.ask("PATCH", path, {}))[0] == 200
    for wrong in ({"definition": None}, {"name": None}, {"id": SOMEBODY}):
        assert (await api.ask("PATCH", path, wrong))[0] == 400


async def test_mcp_servers_that_tools_name_are_written_down(api: Api) -> None:
    first, second = sorted([await make_mcp_server(api), await make_mcp_server(api, "More")])
    tools = [mcp_tool(first), mcp_tool(second.upper())]
    both = definition(
        talk(tools=tools), talk("b", tools=[mcp_tool(first)]), edges=[way("start", "b")]
    )
    made = await make(api, both)
    assert await used_servers(api) == [first, second]
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await api.pool.execute("DELETE FROM mcp_servers WHERE id = $1", first)
    path = f"{PATH}/{made['id']}"
    assert (await api.ask("PATCH", path, {"name": "Still both"}))[0] == 200
    assert await used_servers(api) == [first, second]
    await api.ask("PATCH", path, {"definition": node(tools=[mcp_tool(second)])})
    assert await used_servers(api) == [second]
    assert await api.ask("DELETE", path) == (200, {"success": True})
    assert await used_servers(api) == []


async def test_an_mcp_server_of_somebody_else_is_not_there(api: Api) -> None:
    server = await make_mcp_server(await api.another_tenant())
    graph = node(tools=[mcp_tool(server)])
    status, body = await api.ask("POST", PATH, {"name": "Theirs", "definition": graph})
    assert status == 400
    assert body["details"] == [
        f"definition.nodes[0].tools[0].mcp_server_id: no MCP server {server}"
    ]


@pytest.mark.parametrize("count", [1, 3])
async def test_what_is_attached_is_not_deleted(api: Api, count: int) -> None:
    made = await make(api, definition())
    path = f"{PATH}/{made['id']}"
    numbers = [
        await make_number(api, f"+3120123456{n}", workflow_id=made["id"]) for n in range(count)
    ]
    sentence = (
        f"Workflow is attached to {count} phone numbers. Detach it first"
        " (PATCH /numbers/{id} with workflow_id: null)."
    )
    status, body = await api.ask("DELETE", path)
    assert (status, body["error"]["code"], body["message"]) == (409, "conflict", sentence)
    headers = {"User-Agent": "hmsovereign-node/2.0.0"}
    assert (await api.ask("DELETE", path, headers=headers))[1]["error"] == sentence
    for number in numbers:
        await api.ask("PATCH", number, {"workflow_id": None})
    assert await api.ask("DELETE", path) == (200, {"success": True})
    assert (await api.ask("DELETE", path))[0] == 404


async def test_a_number_that_is_being_given_a_workflow_keeps_it(api: Api) -> None:
    made = await make(api, definition())
    await make_number(api, NUMBER)
    async with api.pool.acquire() as other, other.transaction():
        await other.execute("UPDATE phone_numbers SET workflow_id = $1", made["id"])
        deletion = asyncio.create_task(api.ask("DELETE", f"{PATH}/{made['id']}"))
        await until_somebody_waits(api.pool)
    assert (await deletion)[0] == 409


async def test_a_workflow_that_is_being_deleted_is_not_given_to_a_number(api: Api) -> None:
    made = await make(api, definition())
    number = await make_number(api, NUMBER)
    async with api.pool.acquire() as other, other.transaction():
        await other.execute("DELETE FROM workflows")
        attached = asyncio.create_task(api.ask("PATCH", number, {"workflow_id": made["id"]}))
        await until_somebody_waits(api.pool)
    assert (await attached)[0] == 404
    assert (await api.ask("GET", number))[1]["number"]["workflow_id"] is None


async def test_deleting_and_attaching_at_once_ends_well(api: Api) -> None:
    number = await make_number(api, NUMBER)
    for _ in range(10):
        made = await make(api, definition())
        path = f"{PATH}/{made['id']}"
        attached, deleted = await asyncio.gather(
            api.ask("PATCH", number, {"workflow_id": made["id"]}), api.ask("DELETE", path)
        )
        assert (attached[0], deleted[0]) in {(200, 409), (404, 200)}
        left = await api.ask("GET", path)
        assert left[0] == (200 if deleted[0] == 409 else 404)


async def test_two_changes_at_once_leave_one_definition_and_its_servers(api: Api) -> None:
    servers = [await make_mcp_server(api, str(n)) for n in range(4)]
    graphs = [node(tools=[mcp_tool(server)]) for server in servers]
    made = await make(api, definition())
    path = f"{PATH}/{made['id']}"
    changes = [api.ask("PATCH", path, {"definition": graph}) for graph in graphs]
    assert {status for status, _ in await asyncio.gather(*changes)} == {200}
    kept = (await api.ask("GET", path))[1]["workflow"]["definition"]
    assert await used_servers(api) == [kept["nodes"][0]["tools"][0]["mcp_server_id"]]


async def test_another_tenant_sees_nothing_of_it(api: Api) -> None:
    made = await make(api, definition())
    other = await api.another_tenant()
    assert await other.ask("GET", PATH) == (200, {"workflows": []})
    path = f"{PATH}/{made['id']}"
    for method, body in (("GET", None), ("PATCH", {"name": "Mine"}), ("DELETE", None)):
        status, answer = await other.ask(method, path, body)
        assert (status, answer["message"]) == (404, f"no workflow {made['id']}")
    assert (await other.ask("PATCH", path, {"definition": {}}))[0] == 404
    assert await api.ask("GET", path) == (200, {"workflow": made})


async def test_the_largest_definition_is_taken(api: Api) -> None:
    nodes = [talk(f"n{n}", instructions="x" * 4000) for n in range(200)]
    edges = [way(f"n{n}", f"n{(n + step) % 200}") for n in range(200) for step in range(1, 6)]
    made = await make(api, definition(*nodes, edges=edges))
    assert len(made["definition"]["edges"]) == 1000
