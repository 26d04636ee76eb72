"""An integration written for the vendor works here: every operation through such a client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.app import all_endpoints
from db.journal import write_entries
from sovereign_ari.domain.ids import call_id
from tests.support.api import Api, running_api
from tests.support.rows import a_call_id, answered, closed, opened
from tests.support.vendor_client import (
    ApiError,
    AuthenticationError,
    NotFoundError,
    RateLimitError,
    VendorClient,
    encoded,
)

NUMBER = "+31201234567"

# The published inventory: method and path of each operation, `{id}` for any id.
PUBLISHED = """
GET /health
GET /assistants, POST /assistants, GET /assistants/{id}, PATCH /assistants/{id}, DELETE /assistants/{id}
GET /calls, GET /calls/{id}, POST /calls/outbound, POST /calls/{id}/control
GET /numbers, POST /numbers, GET /numbers/{id}, PATCH /numbers/{id}, DELETE /numbers/{id}
GET /sip-trunks, POST /sip-trunks, GET /sip-trunks/{id}, DELETE /sip-trunks/{id}
GET /tool-templates, POST /tool-templates, GET /tool-templates/{id}, PATCH /tool-templates/{id}
DELETE /tool-templates/{id}
GET /analysis-templates, POST /analysis-templates, GET /analysis-templates/{id}
PATCH /analysis-templates/{id}, DELETE /analysis-templates/{id}
GET /campaigns, POST /campaigns, GET /campaigns/{id}, PATCH /campaigns/{id}, DELETE /campaigns/{id}
GET /campaigns/{id}/leads, POST /campaigns/{id}/leads, DELETE /campaigns/{id}/leads/{id}
GET /workflows, POST /workflows, GET /workflows/{id}, PATCH /workflows/{id}, DELETE /workflows/{id}
GET /mcp-servers, POST /mcp-servers, GET /mcp-servers/{id}, PATCH /mcp-servers/{id}
DELETE /mcp-servers/{id}, POST /mcp-servers/{id}/test
GET /voices
GET /usage
GET /byok, POST /byok, DELETE /byok, POST /byok/config
GET /domains, POST /domains, DELETE /domains, GET /domains/sync, POST /domains/sync
POST /domains/verify, POST /domains/refresh
GET /organizations, POST /organizations, PATCH /organizations, GET /account
POST /chats, GET /chats, DELETE /chats/{id}, GET /chats/context
"""  # noqa: E501


def published() -> set[tuple[str, str]]:
    found = [part.split() for part in PUBLISHED.replace("\n", ",").split(",") if part.strip()]
    return {(method, path) for method, path in found}


def test_every_published_operation_is_served() -> None:
    served = {("GET", "/health")}
    for endpoint in all_endpoints():
        path = endpoint.path
        for name in endpoint.parameters:
            path = path.replace(f"{{{name}}}", "{id}")
        served.add((endpoint.method, path))
    assert len(published()) == 69
    assert published() <= served, published() - served


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def client(api: Api) -> AsyncIterator[VendorClient]:
    async with VendorClient(str(api.client.make_url("/api/v1")), api.key) as client:
        yield client


RESOURCES: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("/assistants", "assistants", "assistant", {"name": "A"}, {"name": "B"}),
    ("/agents", "agents", "agent", {"name": "A"}, {"first_message": "Hi."}),
    ("/numbers", "numbers", "number", {"phone_number": NUMBER}, {"is_active": False}),
    (
        "/sip-trunks",
        "trunks",
        "trunk",
        {"name": "T", "provider": "voys", "address": "sip.example.com"},
        {},
    ),
    (
        "/tool-templates",
        "tool_templates",
        "tool_template",
        {"name": "lookup", "tool_type": "function", "tool_config": {"description": "Looks up."}},
        {"tool_type": "end_call", "tool_config": {}},
    ),
    (
        "/analysis-templates",
        "analysis_templates",
        "analysis_template",
        {
            "name": "T",
            "system_prompt": "Read.",
            "user_prompt": "{transcript}",
            "schema": {"type": "object", "properties": {"mood": {"type": "string"}}},
        },
        {"description": "Moods."},
    ),
    (
        "/workflows",
        "workflows",
        "workflow",
        {
            "name": "W",
            "definition": {
                "version": 1,
                "entry_node": "hello",
                "nodes": [
                    {"id": "hello", "type": "conversation", "instructions": "Greet."},
                    {"id": "bye", "type": "end"},
                ],
                "edges": [{"from": "hello", "to": "bye", "description": "All is said."}],
            },
        },
        {"is_active": False},
    ),
]


@pytest.mark.parametrize(("path", "many", "one", "body", "change"), RESOURCES)
async def test_a_resource_lives_and_dies(
    client: VendorClient, path: str, many: str, one: str, body: dict[str, Any], change: Any
) -> None:
    made = (await client.request("POST", path, body))[one]
    where = f"{path}/{encoded(made['id'])}"
    assert [item["id"] for item in await client.list(path, many)] == [made["id"]]
    assert (await client.request("GET", where))[one] == made
    if change:
        changed = (await client.request("PATCH", where, change))[one]
        follow = ("updated_at", "type", "function_definition")  # older forms of what was changed
        assert changed == {**made, **change, **{n: changed[n] for n in follow if n in changed}}
    assert await client.request("DELETE", where) == {"success": True}
    with pytest.raises(NotFoundError):
        await client.request("GET", where)


async def test_a_campaign_with_leads(client: VendorClient) -> None:
    agent = (await client.request("POST", "/assistants", {"name": "A"}))["assistant"]["id"]
    body = {
        "name": "Spring",
        "agent_id": agent,
        "schedule_start_time": "09:00:00",
        "schedule_end_time": "17:00:00",
        "timezone": "Europe/Amsterdam",
        "leads": [{"phone_number": "+31612345678", "variables": {"name": "Jo"}}],
    }
    campaign = (await client.request("POST", "/campaigns", body))["campaign"]
    assert (campaign["status"], campaign["agent_id"]) == ("draft", agent)
    where = f"/campaigns/{campaign['id']}"
    lead = (await client.request("POST", f"{where}/leads", {"phone_number": "+31612345679"}))[
        "lead"
    ]
    leads = await client.list(f"{where}/leads", "leads")
    assert [one["phone_number"] for one in leads] == ["+31612345678", "+31612345679"]
    assert (await client.request("GET", where))["campaign"]["total_leads"] == 2
    await client.request("PATCH", where, {"status": "paused"})
    assert await client.request("DELETE", f"{where}/leads/{lead['id']}") == {"success": True}
    assert await client.request("DELETE", where) == {"success": True}


async def test_every_call_is_found_page_after_page(api: Api, client: VendorClient) -> None:
    ids = [a_call_id(number) for number in range(1, 251)]
    async with api.pool.acquire() as connection:
        for one in ids:
            await write_entries(
                connection, [opened(api.organisation_id, one), answered(one), closed(one)]
            )
    found = [call["id"] async for call in client.pages("/calls", "calls")]
    assert sorted(found) == sorted(ids)
    assert len([log async for log in client.pages("/usage", "logs")]) == 250


async def test_a_call_is_read_bare_by_its_encoded_id(api: Api, client: VendorClient) -> None:
    one = call_id("inbound", 1_767_268_800_000, 7)
    async with api.pool.acquire() as connection:
        await write_entries(connection, [opened(api.organisation_id, one)])
    assert (await client.request("GET", f"/calls/{encoded(one)}"))["id"] == one
    everything_encoded = "".join(f"%{ord(letter):02X}" for letter in one)
    assert (await client.request("GET", f"/calls/{everything_encoded}"))["id"] == one
    with pytest.raises(NotFoundError):
        await client.request("GET", f"/calls/{encoded('call-_+31612345678_abc123')}")


async def test_provider_keys_are_set_and_deleted_with_a_body(client: VendorClient) -> None:
    body = {"provider": "openai", "api_key": "sk-of-nobody-0123456789"}
    answer = await client.request("POST", "/byok", body)
    assert answer["success"] is True
    assert answer["byok_keys"]["openai_secret_id"]
    config = {"provider": "openai", "config": {"region": "eu"}}
    answer = await client.request("POST", "/byok/config", config)
    assert answer["byok_config"] == {"openai": {"region": "eu"}}
    answer = await client.request("DELETE", "/byok", {"provider": "openai"})
    assert answer["success"] is True
    assert (await client.request("GET", "/byok"))["byok_keys"]["openai_secret_id"] is None


async def test_the_organisation_is_bare(client: VendorClient) -> None:
    ours = await client.request("GET", "/organizations")
    assert {"id", "name", "minutes_balance", "monthly_usage_minutes", "parent_org_id"} <= set(ours)
    child = await client.request("POST", "/organizations", {"name": "Child"})
    assert child["api_key"].startswith("fl_")
    retention = {"content_retention_days": 30, "metadata_retention_days": 90}
    kept = await client.request("PATCH", "/organizations", retention)
    assert retention.items() <= kept.items()
    found = await client.request("GET", "/organizations", query={"include_children": "true"})
    assert [one["name"] for one in found["children"]] == ["Child"]


async def test_there_is_no_domain_yet(client: VendorClient) -> None:
    assert await client.request("GET", "/domains") == {"domain": None}


async def test_errors_are_the_classes_that_the_client_knows(
    api: Api, client: VendorClient
) -> None:
    with pytest.raises(ApiError) as caught:
        await client.request("POST", "/numbers", {"phone_number": "0612345678"})
    assert caught.value.status == 400
    assert caught.value.details[0].startswith("phone_number: ")
    assert caught.value.body["error"] == caught.value.body["message"]
    base = str(api.client.make_url("/api/v1"))
    async with VendorClient(base, "fl_live_nobody") as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.request("GET", "/assistants")


async def test_a_429_is_waited_for_and_repeated(pool: asyncpg.Pool) -> None:
    async with running_api(pool, rate_limit_per_minute=2) as api:
        base = str(api.client.make_url("/api/v1"))
        async with VendorClient(base, api.key, sleep=False) as client:
            await client.request("GET", "/assistants")
            await client.request("GET", "/assistants")
            with pytest.raises(RateLimitError) as caught:
                await client.request("POST", "/assistants", {"name": "A"})
    assert len(client.waits) == 2
    assert all(1 <= seconds <= 60 for seconds in client.waits)
    assert caught.value.body["retry_after"] >= 1


async def test_the_client_repeats_what_is_safe_after_a_fault(api: Api) -> None:
    """Of the client itself: without this, its retries would prove nothing."""
    asked: list[str] = []

    async def faulty(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.json_response({"error": "no"}, status=503)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", faulty)
    async with (
        TestServer(app) as server,
        VendorClient(str(server.make_url("/")), "k", sleep=False) as client,
    ):
        for method in ("GET", "POST"):
            with pytest.raises(ApiError):
                await client.request(method, "/x")
    assert asked == ["GET", "GET", "GET", "POST"]
