"""Rules that hold for every operation: each is walked, whatever there is by then."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from api.app import all_endpoints
from api.endpoints import Endpoint
from api.openapi_parts import example_of
from db.journal import write_entries
from tests.support.api import Api, running_api
from tests.support.rows import a_call_id, answered, closed, opened

PREFIX = "/api/v1"
NOBODY = "00000000-0000-4000-8000-000000000000"
WITH_BODY = [endpoint for endpoint in all_endpoints() if endpoint.body is not None]
WITH_ID = [endpoint for endpoint in all_endpoints() if endpoint.parameters]


def _name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def body_of(endpoint: Endpoint) -> Any:
    """The example of the document."""
    return None if endpoint.body is None else json.loads(json.dumps(example_of(endpoint.body)))


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def _counts(pool: asyncpg.Pool) -> dict[str, int]:
    """Rows of each table, less what every request touches."""
    async with pool.acquire() as connection:
        names = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename <> 'rate_windows'"
        )
        return {
            name: await connection.fetchval(f"SELECT count(*) FROM {name}") for (name,) in names
        }


async def _contents(pool: asyncpg.Pool) -> dict[str, list[str]]:
    """Every row of a tenant's resources as text."""
    async with pool.acquire() as connection:
        names = await connection.fetch(
            "SELECT DISTINCT c.table_name FROM information_schema.columns AS c"
            " WHERE c.column_name = 'organisation_id' AND c.table_name <> 'api_keys'"
            " AND c.table_schema = 'public'"
        )
        return {
            name: [
                row[0]
                for row in await connection.fetch(f"SELECT t::text FROM {name} AS t ORDER BY 1")
            ]
            for (name,) in names
        }


BY_HAND = {
    # What the API makes only after somebody else's server has answered.
    "/chats": "INSERT INTO chats (organisation_id) VALUES ($1) RETURNING id",
    "/mcp-servers": "INSERT INTO mcp_servers"
    " (organisation_id, name, url, transport, timeout_seconds)"
    " VALUES ($1, 'Tools', 'https://mcp.example.com', 'sse', 20) RETURNING id",
}


async def _furnish(api: Api) -> dict[str, str]:
    """Create one of everything for a tenant; give the ids by the paths of their lists."""
    ids = {"/calls": str(a_call_id())}
    async with api.pool.acquire() as connection:
        await write_entries(connection, [opened(api.organisation_id), answered(), closed()])
        for path, statement in BY_HAND.items():
            ids[path] = str(await connection.fetchval(statement, api.organisation_id))
    lists = {endpoint.path.rpartition("/{")[0] for endpoint in WITH_ID if endpoint.path[-1] == "}"}
    for endpoint in all_endpoints():
        if endpoint.method != "POST" or endpoint.path not in lists or endpoint.path in ids:
            continue
        body = _refer(body_of(endpoint), ids)
        if endpoint.path.endswith("/leads"):
            body["phone_number"] = "+31612345999"  # the campaign's example has its own leads
        status, answer = await api.ask("POST", path_of(endpoint, ids), body)
        assert status == 201, (endpoint.path, answer)
        made = answer if "id" in answer else next(iter(answer.values()))
        ids[endpoint.path] = made["id"]
    assert lists <= set(ids)
    return ids


def path_of(endpoint: Endpoint, ids: dict[str, str]) -> str:
    """The path with each name replaced by the id of what stands in the list before it."""
    path, before = endpoint.path, endpoint.path
    for name in endpoint.parameters:
        where = before.partition(f"/{{{name}}}")[0]
        path = path.replace(f"{{{name}}}", "1" if name == "number" else ids.get(where, NOBODY))
    return PREFIX + path


REFERENCES = {
    "assistant_id": "/assistants",
    "agent_id": "/assistants",
    "transfer_trunk_id": "/sip-trunks",
    "workflow_id": "/workflows",
    "number_id": "/numbers",
}
"""Keys in bodies, and where what they refer to is listed."""


def _refer(body: Any, ids: dict[str, str]) -> Any:
    """Let an example refer to rows that are there, and to no others."""
    if isinstance(body, dict):
        kept = {
            key: ids.get(REFERENCES[key], NOBODY) if key in REFERENCES else _refer(value, ids)
            for key, value in body.items()
            if value is not None
        }
        return {key: value for key, value in kept.items() if value != NOBODY}
    if isinstance(body, list):
        return [
            _refer(item, ids)
            for item in body
            if not (isinstance(item, dict) and item.get("type") == "mcp")
        ]
    return body


async def test_no_key_reads_or_changes_anything_of_another_tenant(api: Api) -> None:
    ids = await _furnish(api)
    before = await _contents(api.pool)
    assert all(rows for name, rows in before.items() if name in ("assistants", "sip_trunks"))
    stranger = await api.another_tenant()
    for endpoint in WITH_ID:
        path = path_of(endpoint, ids)
        assert NOBODY not in path
        status, answer = await stranger.ask(endpoint.method, path, body_of(endpoint))
        assert status == 404, (_name(endpoint), status, answer)
    for endpoint in all_endpoints():
        if endpoint.method == "GET" and not endpoint.parameters and not endpoint.detached:
            query = "?assistant_id=" + ids["/assistants"] if "context" in endpoint.path else ""
            _, answer = await stranger.ask("GET", PREFIX + endpoint.path + query)
            text = json.dumps(answer.get("message") or answer)
            if not query:
                assert not [path for path, one in ids.items() if one in text], _name(endpoint)
    assert await _contents(api.pool) == before


@pytest.mark.parametrize("endpoint", WITH_ID, ids=_name)
async def test_what_does_not_exist_is_404(api: Api, endpoint: Endpoint) -> None:
    ids = dict.fromkeys(endpoint.parameters, NOBODY) | {"call_id": str(a_call_id(99))}
    path = PREFIX + endpoint.path.format(**ids)
    status, answer = await api.ask(endpoint.method, path, body_of(endpoint))
    assert (status, answer["error"]["code"]) == (404, "not_found"), answer
    wrong = PREFIX + endpoint.path.format(**dict.fromkeys(ids, "x%00y"))
    status, answer = await api.ask(endpoint.method, wrong, body_of(endpoint))
    assert status == 404, answer


@pytest.mark.parametrize("endpoint", all_endpoints(), ids=_name)
async def test_nobody_gets_in_without_a_key(api: Api, endpoint: Endpoint) -> None:
    path = PREFIX + endpoint.path.format(**dict.fromkeys(endpoint.parameters, NOBODY))
    async with api.client.request(endpoint.method, path, json={}) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"


def _wrong_bodies(good: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Bodies that no operation takes, each with its name."""
    yield "nothing", b""
    yield "not JSON", b'{"name": '
    yield "a list", b"[]"
    yield "a text", b'"name"'
    yield "null", b"null"
    yield "NaN", b'{"name": NaN}'
    yield "not UTF-8", b'{"name": "\xff\xfe"}'
    yield "a NUL", json.dumps({**good, "name": "a\x00b"}).encode()
    yield "half a surrogate pair", b'{"name": "\\ud800"}'
    yield "too deep", b'{"name": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    yield "a long number", b'{"name": ' + b"9" * 10_000 + b"}"
    yield "too large", b'{"name": "' + b"a" * (2 * 1024 * 1024) + b'"}'
    yield "an unknown key", json.dumps({**good, "nmae_of_it": 1}).encode()
    for key, value in good.items():
        others: tuple[Any, ...] = (
            12.5,
            "\u202e'; DROP TABLE calls; --{{7*7}}${7*7}",
            [],
            {"a": 1},
            True,
        )
        for other in others:
            if type(other) is not type(value) and not (
                isinstance(other, dict) and isinstance(value, dict)
            ):
                yield f"{key} is {other!r}", json.dumps({**good, key: other}).encode()


async def test_a_wrong_body_is_refused_with_the_reason_and_changes_nothing(api: Api) -> None:
    ids = await _furnish(api)
    for endpoint in WITH_BODY:
        await _send_wrong_bodies(api, endpoint, path_of(endpoint, ids))


async def _send_wrong_bodies(api: Api, endpoint: Endpoint, path: str) -> None:
    before = await _counts(api.pool)
    for name, body in _wrong_bodies(body_of(endpoint)):
        async with api.client.request(
            endpoint.method,
            path,
            data=io.BytesIO(body),
            headers={"Authorization": f"Bearer {api.key}"},
        ) as response:
            answer = await response.json()
        what = (_name(endpoint), name, response.status, answer)
        if response.status < 300:
            # Some fields take several types, and some operations need no body at all.
            assert " is " in name or name == "nothing", what
            before = await _counts(api.pool)
            continue
        assert 400 <= response.status < 500, what
        assert answer["message"] == answer["error"]["message"], what
        assert len(answer["message"]) > 8, what
    assert await _counts(api.pool) == before, _name(endpoint)
