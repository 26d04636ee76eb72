"""Rules that hold for every operation: each is walked, whatever there is by then."""

from __future__ import annotations

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


async def _furnish(api: Api) -> dict[str, str]:
    """Create one of everything for a tenant; give the ids by their names in paths."""
    ids = {"call_id": str(a_call_id())}
    async with api.pool.acquire() as connection:
        await write_entries(connection, [opened(api.organisation_id), answered(), closed()])
    for endpoint in all_endpoints():
        others = [other for other in WITH_ID if other.path.startswith(f"{endpoint.path}/{{")]
        if endpoint.method != "POST" or not others or endpoint.alias:
            continue
        ids_now = ids | {"assistant_id": ids.get("assistant_id", NOBODY)}
        body = _refer(body_of(endpoint), ids_now)
        status, answer = await api.ask("POST", PREFIX + endpoint.path.format(**ids_now), body)
        assert status == 201, (endpoint.path, answer)
        made = answer[endpoint.envelope] if endpoint.envelope else answer
        ids[others[0].parameters[-1]] = made["id"]
    return ids


REFERENCES = {
    "assistant_id": "assistant_id",
    "agent_id": "assistant_id",
    "transfer_trunk_id": "trunk_id",
    "workflow_id": "workflow_id",
    "number_id": "number_id",
}
"""Keys in bodies, and the names in paths of what they refer to."""


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
    assert {name for endpoint in WITH_ID for name in endpoint.parameters} == set(ids)
    before = await _contents(api.pool)
    assert all(rows for name, rows in before.items() if name in ("assistants", "sip_trunks"))
    stranger = await api.another_tenant()
    for endpoint in WITH_ID:
        path = PREFIX + endpoint.path.format(**ids)
        status, answer = await stranger.ask(endpoint.method, path, body_of(endpoint))
        assert status == 404, (_name(endpoint), status, answer)
    for endpoint in all_endpoints():
        if endpoint.method == "GET" and not endpoint.parameters and endpoint.query is None:
            _, answer = await stranger.ask("GET", PREFIX + endpoint.path)
            text = json.dumps(answer)
            assert not [name for name, one in ids.items() if one in text], _name(endpoint)
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
        for other in (12.5, "\u202e'; DROP TABLE calls; --{{7*7}}${7*7}", [], {"a": 1}, True):
            if type(other) is not type(value) and not (
                isinstance(other, dict) and isinstance(value, dict)
            ):
                yield f"{key} is {other!r}", json.dumps({**good, key: other}).encode()


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=_name)
async def test_a_wrong_body_is_refused_with_the_reason_and_changes_nothing(
    api: Api, endpoint: Endpoint
) -> None:
    ids = await _furnish(api)
    path = PREFIX + endpoint.path.format(**ids)
    before = await _counts(api.pool)
    for name, body in _wrong_bodies(body_of(endpoint)):
        async with api.client.request(
            endpoint.method, path, data=body, headers={"Authorization": f"Bearer {api.key}"}
        ) as response:
            answer = await response.json()
            if response.status < 300:
                assert " is " in name, (name, answer)  # some fields take several types
                before = await _counts(api.pool)
                continue
            assert 400 <= response.status < 500, (name, response.status, answer)
            assert answer["message"] == answer["error"]["message"]
            assert len(answer["message"]) > 8, (name, answer)
    assert await _counts(api.pool) == before
