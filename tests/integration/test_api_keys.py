"""API keys over the API: scopes, expiry, and what each key may do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from api.app import all_endpoints
from api.endpoints import CALL_ID, Endpoint
from api.openapi import PREFIX
from db.keys import create_key
from tests.support.api import Api, running_api

SOMEBODY = "00000000-0000-4000-8000-000000000000"
SOME_CALL = "call-inbound-01kah0zq7me4s1v9w2x3y4z5a6"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def post(api: Api, body: Any) -> tuple[int, Any]:
    return await api.ask("POST", "/api/v1/keys", body)


def with_key(api: Api, secret: str) -> Api:
    return Api(api.client, secret, api.organisation_id, api.pool)


async def a_key_with(api: Api, *scopes: str, **values: Any) -> Api:
    status, body = await post(api, {"name": "k", "scopes": list(scopes), **values})
    assert status == 201
    return with_key(api, body["key"]["secret"])


# What a key is.


async def test_a_key_is_an_admins_and_has_no_end_unless_it_says_so(api: Api) -> None:
    _, body = await post(api, {"name": "k"})
    assert (body["key"]["scopes"], body["key"]["expires_at"]) == (["admin"], None)
    _, body = await post(api, {"name": "k", "expires_at": None})
    assert body["key"]["expires_at"] is None


async def test_scopes_are_kept_once_each_and_in_one_order(api: Api) -> None:
    _, body = await post(api, {"name": "k", "scopes": ["calls", "read", "calls"]})
    assert body["key"]["scopes"] == ["read", "calls"]
    _, listed = await api.ask("GET", "/api/v1/keys")
    assert listed["keys"][0]["scopes"] == ["read", "calls"]
    assert "secret" not in listed["keys"][0]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2099-01-01T00:00:00Z", "2099-01-01T00:00:00.000Z"),
        ("2099-01-01T00:00:00.123456+02:00", "2098-12-31T22:00:00.123Z"),
        ("9999-12-31t23:59:59z", "9999-12-31T23:59:59.000Z"),
    ],
)
async def test_a_key_may_have_an_end(api: Api, given: str, shown: str) -> None:
    status, body = await post(api, {"name": "k", "expires_at": given})
    assert (status, body["key"]["expires_at"]) == (201, shown)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({}, "name: is required"),
        ({"name": ""}, "name: "),
        ({"name": "k", "scopes": []}, "scopes: "),
        ({"name": "k", "scopes": None}, "scopes: "),
        ({"name": "k", "scopes": "admin"}, "scopes: "),
        ({"name": "k", "scopes": ["write"]}, "scopes[0]: "),
        ({"name": "k", "scopes": ["read", 7]}, "scopes[1]: "),
        ({"name": "k", "scopes": ["read"] * 17}, "scopes: "),
        ({"name": "k", "scope": ["read"]}, "did you mean scopes?"),
        ({"name": "k", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at: has passed already"),
        ({"name": "k", "expires_at": "2099-01-01"}, "expires_at: is not a moment"),
        ({"name": "k", "expires_at": "2099-01-01T00:00:00"}, "expires_at: is not a moment"),
        ({"name": "k", "expires_at": "2099-02-30T00:00:00Z"}, "expires_at: is not a moment"),
        ({"name": "k", "expires_at": "9999-12-31T23:59:59-23:00"}, "expires_at: is not a moment"),
        ({"name": "k", "expires_at": "0001-01-01T00:00:00+23:00"}, "expires_at: is not a moment"),
        ({"name": "k", "expires_at": 4102444800}, "expires_at: is not a moment"),
        ({"name": "k", "expires_at": ["2099-01-01T00:00:00Z"]}, "expires_at: is not a moment"),
    ],
)
async def test_a_bad_body_is_refused_by_name_and_makes_no_key(
    api: Api, body: dict[str, Any], line: str
) -> None:
    status, answer = await post(api, body)
    assert status == 400
    assert any(line in detail for detail in answer["details"])
    assert len((await api.ask("GET", "/api/v1/keys"))[1]["keys"]) == 1


# Keys that admit nobody.


async def test_an_expired_key_is_told_so_and_shown_with_its_end(api: Api) -> None:
    async with api.pool.acquire() as connection:
        past = datetime.now(UTC) - timedelta(seconds=1)
        _, secret = await create_key(connection, api.organisation_id, name="old", expires_at=past)
    status, body = await with_key(api, secret).ask("GET", "/api/v1/keys")
    assert (status, body["error"]["code"]) == (401, "api_key_expired")
    _, listed = await api.ask("GET", "/api/v1/keys")
    assert listed["keys"][0]["expires_at"] is not None


async def test_a_key_can_revoke_itself(api: Api) -> None:
    own = await a_key_with(api, "admin")
    key_id = (await own.ask("GET", "/api/v1/keys"))[1]["keys"][0]["id"]
    assert await own.ask("DELETE", f"/api/v1/keys/{key_id}") == (200, {"success": True})
    status, body = await own.ask("GET", "/api/v1/keys")
    assert (status, body["error"]["code"]) == (401, "api_key_revoked")
    assert (await api.ask("GET", "/api/v1/keys"))[0] == 200


async def test_another_tenants_keys_are_neither_seen_nor_revoked(api: Api) -> None:
    other = await api.another_tenant()
    mine = (await api.ask("GET", "/api/v1/keys"))[1]["keys"][0]["id"]
    theirs = (await other.ask("GET", "/api/v1/keys"))[1]["keys"]
    assert mine not in [key["id"] for key in theirs]
    for key_id in (mine, SOMEBODY, "nonsense"):
        status, body = await other.ask("DELETE", f"/api/v1/keys/{key_id}")
        assert (status, body["error"]["code"]) == (404, "not_found")
    assert (await api.ask("GET", "/api/v1/keys"))[0] == 200


# What a key may do.


def path_of(endpoint: Endpoint) -> str:
    ids = {name: SOME_CALL if name == CALL_ID else SOMEBODY for name in endpoint.parameters}
    return PREFIX + endpoint.path.format(**ids)


@pytest.mark.parametrize(
    ("scope", "forbidden"), [("read", {"calls", "admin"}), ("calls", {"read", "admin"})]
)
async def test_every_endpoint_asks_for_its_scope_before_anything_else(
    api: Api, scope: str, forbidden: set[str]
) -> None:
    """The requests have no body, so that nothing is done where a key may do it."""
    limited = await a_key_with(api, scope)
    for endpoint in all_endpoints():
        status, body = await limited.ask(endpoint.method, path_of(endpoint))
        where = f"{endpoint.method} {endpoint.path}: {status}"
        if endpoint.needs in forbidden:
            assert (status, body["error"]["code"]) == (403, "insufficient_scope"), where
            assert endpoint.needs in body["message"]
        else:
            assert status not in (401, 403), where


def test_reading_needs_read_and_nothing_else_does() -> None:
    for endpoint in all_endpoints():
        assert (endpoint.needs == "read") == (endpoint.method == "GET"), endpoint.path


async def test_only_an_admin_makes_keys_so_none_makes_one_that_may_more(api: Api) -> None:
    for scopes in (["read"], ["calls"], ["read", "calls"]):
        limited = await a_key_with(api, *scopes)
        status, body = await post(limited, {"name": "more", "scopes": ["admin"]})
        assert (status, body["error"]["code"]) == (403, "insufficient_scope")
    both = await a_key_with(api, "read", "calls")
    assert (await both.ask("GET", "/api/v1/calls"))[0] == 200
    admin = await a_key_with(api, "admin")
    assert (await admin.ask("GET", "/api/v1/calls"))[0] == 200
