"""`/mcp-servers`, with a real MCP server behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from db.keys import create_key
from tests.support.api import VAULT, Api, running_api
from tests.support.fake_mcp import (
    SCHEMA,
    FakeMcp,
    polite,
    rpc,
    running_bytes,
    running_mcp,
    running_rude,
)

PATH = "/api/v1/mcp-servers"
# An address that is public: it is looked at, and never connected to.
URL = "https://93.184.215.14/mcp"
SERVER = {"name": "Orders", "url": URL}
KEY = "Bearer s3cret-value"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool, allow=["127.0.0.0/8"]) as api:
        yield api


async def made(api: Api, **fields: Any) -> dict[str, Any]:
    status, answer = await api.ask("POST", PATH, {**SERVER, **fields})
    assert status == 201, answer
    server: dict[str, Any] = answer["mcp_server"]
    return server


async def refused(api: Api, body: dict[str, Any], method: str = "POST", path: str = PATH) -> str:
    status, answer = await api.ask(method, path, body)
    assert status == 400, answer
    assert answer["error"]["type"] == "validation_error"
    (line,) = answer["details"]
    assert "s3cret" not in json.dumps(answer)
    return str(line)


async def test_a_server_is_made_read_listed_and_removed(api: Api) -> None:
    server = await made(api)
    assert server == {
        "id": server["id"],
        "name": "Orders",
        "url": URL,
        "transport": "streamable_http",
        "header_names": [],
        "timeout_seconds": 20,
        "created_at": server["created_at"],
        "updated_at": server["updated_at"],
    }
    assert await api.ask("GET", f"{PATH}/{server['id']}") == (200, {"mcp_server": server})
    other = await made(api, name="Other", transport="sse", timeout_seconds=60)
    status, listed = await api.ask("GET", PATH)
    assert (status, listed) == (200, {"mcp_servers": [other, server]})
    assert await api.ask("DELETE", f"{PATH}/{server['id']}") == (200, {"success": True})
    assert (await api.ask("GET", f"{PATH}/{server['id']}"))[0] == 404
    assert (await api.ask("DELETE", f"{PATH}/{server['id']}"))[0] == 404


async def test_values_of_headers_are_sealed_and_never_shown(api: Api) -> None:
    server = await made(api, headers={"Authorization": KEY, "X-Team": "7"})
    assert server["header_names"] == ["Authorization", "X-Team"]
    _, shown = await api.ask("GET", f"{PATH}/{server['id']}")
    _, listed = await api.ask("GET", PATH)
    assert "s3cret" not in json.dumps([server, shown, listed])
    sealed = await api.pool.fetchval("SELECT headers FROM mcp_servers")
    assert b"s3cret" not in sealed
    opened = VAULT.open(sealed, f"mcp_server:{api.organisation_id}:{server['id']}")
    assert json.loads(opened) == {"Authorization": KEY, "X-Team": "7"}


NORMALISED = [
    ("HTTPS://93.184.215.14:443/mcp", URL),
    ("https://93.184.215.14", "https://93.184.215.14/"),
    ("https://93.184.215.14:8443/a?b=c#d", "https://93.184.215.14:8443/a?b=c"),
    (
        "https://[2606:2800:21F:CB07:6820:80DA:AF6B:8B2C]/m",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/m",
    ),
    ("https://93.184.215.14./ü", "https://93.184.215.14/%C3%BC"),
    ("https://１２７.0.0.1/m", "https://127.0.0.1/m"),
    ("http://127.0.0.1:80/m", "http://127.0.0.1/m"),
]


async def test_a_url_is_stored_normalised(api: Api) -> None:
    for url, stored in NORMALISED:
        assert (await made(api, name=url, url=url))["url"] == stored


UNREACHABLE = [
    ("http://93.184.215.14/mcp", "must begin with https://"),
    ("ftp://93.184.215.14/mcp", "is not an http or https URL"),
    ("https://10.0.0.1/mcp", "10.0.0.1 is not a public address"),
    ("https://[::1]/mcp", "::1 is not a public address"),
    ("https://169.254.169.254/latest", "169.254.169.254 is not a public address"),
    ("https://0x7f.1/", "must write an address as four decimal numbers, such as 192.0.2.1"),
    ("https://u:p@93.184.215.14/", "must not hold a user name or password"),
    ("https://93.184.215.14:0/", "needs a port from 1 to 65535 after the colon"),
    ("https://no-such-host.invalid/", "there is no host no-such-host.invalid"),
    ("https://a b/", "must not hold spaces, control characters or backslashes"),
]


async def test_a_url_that_may_not_be_reached_is_refused(api: Api) -> None:
    server = await made(api)
    path = f"{PATH}/{server['id']}"
    for url, reason in UNREACHABLE:
        line = await refused(api, {"name": "Other", "url": url})
        # Without a name server, a name is not known to be missing.
        assert line in (f"url: {reason}", "url: no-such-host.invalid could not be looked up")
        assert (await refused(api, {"url": url}, "PATCH", path)).startswith("url: ")
    assert await api.ask("GET", PATH) == (200, {"mcp_servers": [server]})


async def test_plain_http_needs_the_operators_permission(pool: asyncpg.Pool) -> None:
    async with running_api(pool) as api:
        line = await refused(api, {"name": "a", "url": "http://127.0.0.1/mcp"})
        assert line == "url: 127.0.0.1 is not a public address"


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: "),
    ({"name": "x" * 256}, "name: "),
    ({"name": None}, "name: "),
    ({"url": None}, "url: "),
    ({"url": "https://93.184.215.14/" + "x" * 2000}, "url: "),
    ({"transport": "stdio"}, "transport: "),
    ({"timeout_seconds": 4}, "timeout_seconds: "),
    ({"timeout_seconds": 61}, "timeout_seconds: "),
    ({"timeout_seconds": 5.5}, "timeout_seconds: "),
    ({"timeout_seconds": "20"}, "timeout_seconds: "),
    ({"timeout_seconds": True}, "timeout_seconds: "),
    ({"headers": []}, "headers: "),
    ({"headers": None}, "headers: "),
    ({"headers": {"a": 1}}, "headers.a: "),
    ({"headers": {f"h{n}": "v" for n in range(11)}}, "headers: "),
    ({"headers": {"a b": "s3cret"}}, "headers: no header can have the name 'a b'"),
    ({"headers": {"": "s3cret"}}, "headers: no header can have the name ''"),
    ({"headers": {"a\r\nb": "s3cret"}}, "headers: "),
    ({"headers": {"ключ": "s3cret"}}, "headers: "),
    ({"headers": {"a": "s3cret\r\nHost: evil"}}, "headers: the value of a needs"),
    ({"headers": {"a": "s3cret\n"}}, "headers: the value of a needs"),
    ({"headers": {"a": " s3cret"}}, "headers: the value of a needs"),
    ({"headers": {"a": "s3cret–"}}, "headers: the value of a needs"),
    ({"headers": {"a": ""}}, "headers: the value of a needs"),
    ({"headers": {"a": "s3cret" * 1000}}, "headers: the value of a needs"),
    ({"headers": {"Host": "s3cret"}}, "headers: the header Host is set by us"),
    ({"headers": {"content-LENGTH": "1"}}, "headers: the header content-LENGTH is set by us"),
    (
        {"headers": {"Transfer-Encoding": "chunked"}},
        "headers: the header Transfer-Encoding",
    ),
    ({"headers": {"Mcp-Session-Id": "1"}}, "headers: the header Mcp-Session-Id is set by us"),
    ({"headers": {"a": "1", "A": "2"}}, "headers: the header A is there twice"),
    ({"heders": {}}, "heders: unknown field; did you mean headers?"),
]


async def test_a_bad_field_is_named(api: Api) -> None:
    server = await made(api)
    path = f"{PATH}/{server['id']}"
    for fields, line in BAD_FIELDS:
        assert (await refused(api, {**SERVER, "name": "Other", **fields})).startswith(line)
        assert (await refused(api, fields, "PATCH", path)).startswith(line)
    assert await api.ask("GET", PATH) == (200, {"mcp_servers": [server]})


async def test_a_name_is_unique_in_its_organisation(api: Api) -> None:
    server = await made(api)
    status, answer = await api.ask("POST", PATH, SERVER)
    assert status == 409
    assert answer["message"] == "there is an MCP server with the name Orders already"
    await made(await api.another_tenant())
    other = await made(api, name="Other")
    assert (await api.ask("PATCH", f"{PATH}/{other['id']}", {"name": "Orders"}))[0] == 409
    assert (await api.ask("PATCH", f"{PATH}/{server['id']}", {"name": "Orders"}))[0] == 200


async def test_of_two_servers_with_one_name_at_once_one_is_made(api: Api) -> None:
    answers = await asyncio.gather(*(api.ask("POST", PATH, SERVER) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409]


async def test_only_named_fields_change(api: Api) -> None:
    server = await made(api, headers={"a": "1"}, timeout_seconds=30)
    path = f"{PATH}/{server['id']}"
    status, answer = await api.ask("PATCH", path, {"transport": "sse"})
    assert status == 200
    changed = answer["mcp_server"]
    assert changed == {**server, "transport": "sse", "updated_at": changed["updated_at"]}


async def test_headers_are_replaced_whole_and_cleared(api: Api) -> None:
    server = await made(api, headers={"a": "1", "b": "2"})
    path = f"{PATH}/{server['id']}"
    _, answer = await api.ask("PATCH", path, {"headers": {"c": "3"}})
    assert answer["mcp_server"]["header_names"] == ["c"]
    _, answer = await api.ask("PATCH", path, {"headers": {}})
    assert answer["mcp_server"]["header_names"] == []
    assert await api.pool.fetchval("SELECT headers FROM mcp_servers") is None


async def test_headers_do_not_move_to_another_host(api: Api) -> None:
    server = await made(api, headers={"a": "1"})
    path = f"{PATH}/{server['id']}"
    elsewhere = "https://93.184.215.15/mcp"
    line = await refused(api, {"url": elsewhere}, "PATCH", path)
    assert line == "headers: are needed in the same call, for url is on another host"
    assert await api.ask("GET", path) == (200, {"mcp_server": server})
    same = "https://93.184.215.14:8443/other"
    status, answer = await api.ask("PATCH", path, {"url": same})
    assert (status, answer["mcp_server"]["url"]) == (200, same)
    status, answer = await api.ask("PATCH", path, {"url": elsewhere, "headers": {}})
    assert (status, answer["mcp_server"]["header_names"]) == (200, [])
    status, answer = await api.ask("PATCH", path, {"url": URL})  # none are stored any more
    assert (status, answer["mcp_server"]["url"]) == (200, URL)


@pytest.mark.parametrize("kind", ["assistant", "workflow"])
async def test_a_server_in_use_stays_and_the_user_is_named(api: Api, kind: str) -> None:
    server = await made(api)
    path = f"{PATH}/{server['id']}"
    if kind == "assistant":
        user = await api.pool.fetchval(
            "SELECT id FROM assistants WHERE id = $1", await an_assistant(api)
        )
    else:
        user = await api.pool.fetchval(
            "INSERT INTO workflows (organisation_id, name, definition)"
            " VALUES ($1, 'Reception', '{}') RETURNING id",
            api.organisation_id,
        )
    await api.pool.execute(
        f"INSERT INTO {kind}_mcp_servers (organisation_id, {kind}_id, mcp_server_id)"
        " VALUES ($1, $2, $3)",
        api.organisation_id,
        user,
        server["id"],
    )
    status, answer = await api.ask("DELETE", path)
    assert status == 409
    assert answer["message"] == (
        f"the MCP server Orders is used by the {kind} Reception; take its tools out there first"
    )
    assert (await api.ask("GET", path))[0] == 200
    await api.pool.execute(f"DELETE FROM {kind}_mcp_servers")
    assert (await api.ask("DELETE", path))[0] == 200


async def an_assistant(api: Api, **fields: Any) -> str:
    status, answer = await api.ask("POST", "/api/v1/assistants", {"name": "Reception", **fields})
    assert status == 201, answer
    return str(answer["assistant"]["id"])


async def test_an_assistant_that_takes_a_server_while_it_is_removed_never_dangles(
    api: Api,
) -> None:
    for _ in range(5):
        server = await made(api)
        tool = {"type": "mcp", "mcp_server_id": server["id"], "allowed_tools": ["tool_0"]}
        llm = {"provider": "parrot", "model": "parrot", "tools": [tool]}
        (removed, _), (taken, answer) = await asyncio.gather(
            api.ask("DELETE", f"{PATH}/{server['id']}"),
            api.ask("POST", "/api/v1/assistants", {"name": "Taker", "llm_config": llm}),
        )
        assert (removed, taken) in ((200, 400), (200, 404), (409, 201)), answer
        if removed == 409:
            assistant_id = answer["assistant"]["id"]
            await api.ask("DELETE", f"/api/v1/assistants/{assistant_id}")
            assert (await api.ask("DELETE", f"{PATH}/{server['id']}"))[0] == 200


async def test_others_see_nothing_of_a_server(api: Api) -> None:
    server = await made(api, headers={"a": "1"})
    path = f"{PATH}/{server['id']}"
    stranger = await api.another_tenant()
    for method, where, body in [
        ("GET", path, None),
        ("PATCH", path, {"name": "Mine"}),
        ("PATCH", path, {"url": "https://10.0.0.1/"}),
        ("DELETE", path, None),
        ("POST", f"{path}/test", {}),
    ]:
        assert (await stranger.ask(method, where, body))[0] == 404
    assert await stranger.ask("GET", PATH) == (200, {"mcp_servers": []})
    assert await api.ask("GET", path) == (200, {"mcp_server": server})


async def test_a_key_that_reads_does_not_change(api: Api) -> None:
    server = await made(api)
    async with api.pool.acquire() as connection:
        _, key = await create_key(connection, api.organisation_id, name="reader", scopes=["read"])
    reader = Api(api.client, key, api.organisation_id, api.pool)
    path = f"{PATH}/{server['id']}"
    assert (await reader.ask("GET", path))[0] == 200
    for method, where in [("POST", PATH), ("PATCH", path), ("POST", f"{path}/test")]:
        assert (await reader.ask(method, where, {}))[0] == 403
    assert (await reader.ask("DELETE", path))[0] == 403


@pytest.mark.parametrize("server_id", ["x", "1", "3aee4500-f2b9-41e4-bbe6-5e7ab8c1b2c7"])
async def test_what_is_not_there_is_not_found(api: Api, server_id: str) -> None:
    for method, tail, body in [
        ("GET", "", None),
        ("PATCH", "", {"name": "a"}),
        ("DELETE", "", None),
        ("POST", "/test", {}),
    ]:
        assert (await api.ask(method, f"{PATH}/{server_id}{tail}", body))[0] == 404


async def test_a_repeated_create_is_done_once(api: Api) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.ask("POST", PATH, SERVER, headers=headers)
    assert first[0] == 201
    assert await api.ask("POST", PATH, SERVER, headers=headers) == first
    assert await api.pool.fetchval("SELECT count(*) FROM mcp_servers") == 1


# --- test ----------------------------------------------------------------------------------------


async def tried(api: Api, server: dict[str, Any], body: Any = None) -> dict[str, Any]:
    status, answer = await api.ask("POST", f"{PATH}/{server['id']}/test", body)
    assert status == 200, answer
    assert "s3cret" not in json.dumps(answer)
    assert isinstance(answer["duration_ms"], int)
    assert answer["duration_ms"] >= 0
    found: dict[str, Any] = {k: v for k, v in answer.items() if k != "duration_ms"}
    return found


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_a_test_lists_the_tools_of_the_real_server(api: Api, transport: str) -> None:
    async with running_mcp(FakeMcp(tools=250)) as fake:
        server = await made(api, url=fake.url(transport), transport=transport)
        answer = await tried(api, server)
    assert answer["ok"] is True
    assert answer["tools"][249] == {
        "name": "tool_249",
        "description": "Tool 249",
        "input_schema": SCHEMA,
    }
    assert len(answer["tools"]) == 250


@pytest.mark.parametrize("transport", ["streamable_http", "sse"])
async def test_given_headers_are_tried_and_not_kept(api: Api, transport: str) -> None:
    async with running_mcp(FakeMcp(key=KEY)) as fake:
        stored = {"authorization": "Bearer old", "X-Team": "7"}
        server = await made(api, url=fake.url(transport), transport=transport, headers=stored)
        assert await tried(api, server, {}) == {
            "ok": False,
            "error": "127.0.0.1 answers 401 Unauthorized",
        }
        assert (await tried(api, server, {"headers": {"Authorization": KEY}}))["ok"] is True
        assert {seen["x-team"] for seen in fake.seen} == {"7"}
        assert (await tried(api, server))["ok"] is False
    assert await api.ask("GET", f"{PATH}/{server['id']}") == (200, {"mcp_server": server})


async def test_the_body_of_a_test_is_checked(api: Api) -> None:
    server = await made(api)
    path = f"{PATH}/{server['id']}/test"
    assert (await refused(api, {"headers": {"Host": "a"}}, path=path)).startswith(
        "headers: the header Host"
    )
    line = await refused(api, {"header": {}}, path=path)
    assert line == "header: unknown field; did you mean headers?"


async def test_a_server_that_cannot_be_used_is_an_answer(api: Api) -> None:
    async with running_bytes(b"") as port:
        closing = await made(api, url=f"http://127.0.0.1:{port}/mcp")
        assert await tried(api, closing) == {
            "ok": False,
            "error": "127.0.0.1 broke off the connection",
        }
    assert await tried(api, closing) == {
        "ok": False,
        "error": f"127.0.0.1 port {port} cannot be reached",
    }


async def test_a_test_ends_in_time_and_holds_no_connection_meanwhile(api: Api) -> None:
    async with running_bytes(b"", hang=True) as port:
        server = await made(api, url=f"http://127.0.0.1:{port}/mcp", timeout_seconds=5)
        tests = [asyncio.create_task(tried(api, server)) for _ in range(8)]
        # The pool has fewer connections than there are tests under way.
        assert (await asyncio.wait_for(api.ask("GET", PATH), 3))[0] == 200
        answers = await asyncio.wait_for(asyncio.gather(*tests), 15)
    assert answers == [{"ok": False, "error": "no answer within 5 s"}] * 8


async def test_a_deeply_nested_schema_is_no_error_of_ours(api: Api) -> None:
    schema: dict[str, Any] = {}
    for _ in range(150):
        schema = {"a": schema}

    async def answer(asked: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(rpc(asked, tools=[{"name": "t", "inputSchema": schema}]))

    async with running_rude(polite(answer)) as rude:
        found = await tried(api, await made(api, url=rude.url()))
    assert found["tools"][0]["input_schema"] == schema


async def test_headers_under_a_lost_master_key_are_an_answer(api: Api) -> None:
    server = await made(api, headers={"a": "1"})
    await api.pool.execute("UPDATE mcp_servers SET headers = set_byte(headers, 20, 0)")
    await api.pool.execute("UPDATE mcp_servers SET headers = set_byte(headers, 21, 0)")
    assert await tried(api, server) == {
        "ok": False,
        "error": "the stored headers cannot be opened; store them again",
    }
