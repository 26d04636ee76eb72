"""What signs webhooks is shown to keys that may change it, and to no others."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import asyncpg
import pytest

from db.assistants import AssistantRecord
from db.keys import create_key
from db.organisations import NewOrganisation, OrganisationRecord
from db.templates import ToolTemplateRecord
from tests.support.api import Api, running_api

SECRET = "whsec-not-for-readers"
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "description": "Looks something up"},
    "server": {"url": "https://example.com/tools", "secret": SECRET},
}
LLM = {"provider": "parrot", "model": "parrot-1", "tools": [TOOL, {"type": "end_call"}]}
WORKFLOW = {
    "version": 1,
    "entry_node": "talk",
    "nodes": [
        {"id": "talk", "type": "conversation", "instructions": "Talk.", "tools": [TOOL]},
        {"id": "bye", "type": "end"},
    ],
    "edges": [{"from": "talk", "to": "bye", "description": "They are done."}],
}


async def _made(api: Api) -> list[str]:
    """Make something of each kind that keeps a secret; give where it is read."""
    bodies: dict[str, Any] = {
        "assistants": {"name": "Reception", "webhook_secret": SECRET, "llm_config": LLM},
        "tool-templates": {
            "name": "look_up",
            "tool_type": "function",
            "tool_config": {"server": TOOL["server"]},
        },
        "workflows": {"name": "Appointments", "definition": WORKFLOW},
    }
    paths = ["/organizations", "/account"]
    for kind, body in bodies.items():
        status, answer = await api.ask("POST", f"/api/v1/{kind}", body)
        assert status == 201, answer
        paths += [f"/{kind}", f"/{kind}/{next(iter(answer.values()))['id']}"]
    status, _ = await api.ask("PATCH", "/api/v1/organizations", {"webhook_secret": SECRET})
    assert status == 200
    return [*paths, "/agents"]


@pytest.mark.parametrize("scopes", [["read"], ["read", "calls"]], ids=str)
async def test_a_key_that_only_reads_sees_no_secret(pool: asyncpg.Pool, scopes: list[str]) -> None:
    async with running_api(pool) as api:
        paths = await _made(api)
        async with pool.acquire() as connection:
            _, key = await create_key(
                connection, api.organisation_id, name="reader", scopes=scopes
            )
        reader = Api(api.client, key, api.organisation_id, pool)
        for path in paths:
            status, answer = await reader.ask("GET", f"/api/v1{path}")
            assert status == 200
            assert SECRET not in str(answer), path
            mine = (await api.ask("GET", f"/api/v1{path}"))[1]
            assert (SECRET in str(mine)) == (path != "/workflows"), path  # which lists summaries
            hidden = str(mine).replace(f"'{SECRET}'", "None")
            assert str(answer) == hidden, path


@pytest.mark.parametrize(
    ("record", "hidden"),
    [
        (AssistantRecord, ("webhook_secret", "llm_config")),
        (OrganisationRecord, ("webhook_secret",)),
        (NewOrganisation, ("api_key",)),
        (ToolTemplateRecord, ("tool_config",)),
    ],
)
def test_a_row_does_not_show_its_secret_when_it_is_printed(
    record: type[Any], hidden: tuple[str, ...]
) -> None:
    values = dict.fromkeys((field.name for field in fields(record)), "shown")
    assert SECRET not in repr(record(**values | dict.fromkeys(hidden, SECRET)))
