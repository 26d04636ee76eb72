"""Every pair of spellings that the contract names: each is taken, both agree, or it is a 400."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.support.api import Api, running_api

NUMBER = "+31201234567"
OTHER = "+31201234568"
LLM = {"provider": "parrot", "model": "parrot-1"}
FLAT = {"name": "hours", "description": "When we are open", "url": "https://example.com/hours"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


def _assistant(tool: Any) -> tuple[str, dict[str, Any]]:
    return "/assistants", {"name": "Reception", "llm_config": {**LLM, "tools": [tool]}}


def _with_destination(**said: Any) -> tuple[str, dict[str, Any]]:
    destination = {"type": "number", "description": "The baker", **said}
    return _assistant({"type": "transfer_call", "destinations": [destination]})


async def test_a_flat_function_may_say_that_it_is_one(api: Api) -> None:
    stored = []
    for tool in (FLAT, {"type": "function", **FLAT}):
        path, body = _assistant(tool)
        status, answer = await api.ask("POST", f"/api/v1{path}", body)
        assert status == 201, answer
        stored.append(answer["assistant"]["llm_config"]["tools"])
    assert stored == [[FLAT], [FLAT]]


@pytest.mark.parametrize("spelling", ["number", "phone_number"])
async def test_a_destination_names_its_number_in_both_ways(api: Api, spelling: str) -> None:
    path, body = _with_destination(**{spelling: NUMBER})
    status, answer = await api.ask("POST", f"/api/v1{path}", body)
    assert status == 201, answer
    (tool,) = answer["assistant"]["llm_config"]["tools"]
    assert tool["destinations"][0]["number"] == NUMBER


@pytest.mark.parametrize("spelling", ["number", "phone_number"])
async def test_a_lead_names_its_number_in_both_ways(api: Api, spelling: str) -> None:
    made = (await api.ask("POST", "/api/v1/assistants", {"name": "A"}))[1]["assistant"]
    body = {"name": "May", "agent_id": made["id"], "leads": [{spelling: NUMBER}]}
    status, answer = await api.ask("POST", "/api/v1/campaigns", body)
    assert status == 201, answer
    path = f"/api/v1/campaigns/{answer['campaign']['id']}/leads"
    assert (await api.ask("POST", path, {spelling: OTHER}))[0] == 201
    numbers = [lead["phone_number"] for lead in (await api.ask("GET", path))[1]["leads"]]
    assert numbers == [NUMBER, OTHER]
    status, answer = await api.ask("POST", path, {"number": NUMBER, "phone_number": OTHER})
    assert status == 400
    assert answer["details"] == ["phone_number: phone_number and number have different values"]


async def test_a_trunk_stands_under_the_keys_of_both_generations(api: Api) -> None:
    body = {"name": "Carrier", "host": "sip.example.com"}
    status, made = await api.ask("POST", "/api/v1/sip-trunks", body)
    assert status == 201
    assert made.keys() == {"trunk", "sip_trunk"}
    assert made["trunk"] == made["sip_trunk"]
    path = f"/api/v1/sip-trunks/{made['trunk']['id']}"
    assert (await api.ask("GET", path))[1] == made
    assert (await api.ask("GET", "/api/v1/sip-trunks"))[1] == {"trunks": [made["trunk"]]}


@pytest.mark.parametrize(
    ("path", "body", "line"),
    [
        (*_with_destination(number=NUMBER, phone_number=OTHER),
         "llm_config.tools[0].destinations[0].number: number and phone_number have"),
        ("/numbers", {"number": NUMBER, "phone_number": OTHER},
         "phone_number: phone_number and number have"),
        ("/sip-trunks", {"name": "a", "host": "a.example", "outbound_address": "b.example"},
         "outbound_address: outbound_address and host have"),
        ("/sip-trunks", {"name": "a", "host": "a.example.com", "password": "b",
                         "auth_password": "c"},
         "auth_password: auth_password and password have"),
        ("/calls/outbound", {"destination": NUMBER, "agent": {"llm_config": LLM},
                             "agent_config": {"llm_config": {**LLM, "messages": []}}},
         "assistant: assistant and agent"),
        ("/web-calls", {"assistant": {"llm_config": LLM}, "agent_config": {}},
         "assistant: assistant and agent_config have"),
        ("/tool-templates", {"name": "a", "tool_type": "function",
                             "tool_config": {"asyncResponse": "b", "async_response": "c"}},
         "tool_config.async_response: async_response and asyncResponse have"),
        ("/domains/sync", {"resendDomainId": "a", "domain_id": "b"},
         "resendDomainId: resendDomainId and domain_id have"),
    ],
)  # fmt: skip
async def test_two_spellings_with_different_values_are_a_400_that_names_the_field(
    api: Api, path: str, body: dict[str, Any], line: str
) -> None:
    status, answer = await api.ask("POST", f"/api/v1{path}", body)
    assert status == 400, answer
    assert answer["details"][0].startswith(line)
    assert answer["error"]["param"] == line.partition(":")[0]
