"""`/assistants`, and `/agents`, its older name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.assistant_bodies import AssistantView, CreateAssistant, UpdateAssistant
from api.resources.assistant_config import read_config
from api.resources.tools import without_secret
from db.assistants import ASSISTANTS, AssistantRecord, use_mcp_servers
from db.assistants import delete_assistant as delete_row

ENVELOPES = {"assistants": "agents", "assistant": "agent"}
assistants = Endpoints("Assistants")


def aliases() -> list[Any]:
    """The same endpoints under `/agents`."""
    return assistants.alias("/assistants", "/agents", ENVELOPES)


def _view(asked: Asked, record: AssistantRecord) -> AssistantView:
    shown = record if asked.sees_secrets else _without_secrets(record)
    return AssistantView.of(shown, asked.parts.catalogue, asked.parts.defaults)


def _without_secrets(record: AssistantRecord) -> AssistantRecord:
    llm = record.llm_config
    if llm is not None and "tools" in llm:
        llm = {**llm, "tools": [without_secret(tool) for tool in llm["tools"]]}
    return replace(record, webhook_secret=None, llm_config=llm)


@assistants.add("GET", "/assistants", "List assistants, newest first", envelope="assistants")
async def list_assistants(asked: Asked) -> list[AssistantView]:
    """All of the organisation."""
    records = await ASSISTANTS.list(asked.connection, asked.organisation_id)
    return [_view(asked, record) for record in records]


@assistants.add("POST", "/assistants", "Create an assistant", envelope="assistant", status=201)
async def create_assistant(asked: Asked, body: CreateAssistant) -> AssistantView:
    """Blocks left out or null follow the platform's default, also when that changes."""
    config = await read_config(asked, asked.connection, body)
    made = await ASSISTANTS.create(asked.connection, asked.organisation_id, config.values)
    if config.mcp_server_ids:
        await use_mcp_servers(
            asked.connection, asked.organisation_id, made.id, config.mcp_server_ids
        )
    return _view(asked, made)


@assistants.add("GET", "/assistants/{assistant_id}", "Read an assistant", envelope="assistant")
async def show_assistant(asked: Asked, assistant_id: str) -> AssistantView:
    """One of the organisation."""
    return _view(
        asked, await ASSISTANTS.get(asked.connection, asked.organisation_id, assistant_id)
    )


@assistants.add("PATCH", "/assistants/{assistant_id}", "Change an assistant", envelope="assistant")
async def update_assistant(
    asked: Asked, assistant_id: str, body: UpdateAssistant
) -> AssistantView:
    """Only named fields change; a block is replaced whole; null clears."""
    place = (asked.connection, asked.organisation_id, assistant_id)
    stored = await ASSISTANTS.get(*place, lock=True)
    config = await read_config(asked, asked.connection, body, stored)
    changed = await ASSISTANTS.update(*place, config.values)
    if config.mcp_server_ids is not None:
        await use_mcp_servers(*place, config.mcp_server_ids)
    return _view(asked, changed)


@assistants.add("DELETE", "/assistants/{assistant_id}", "Delete an assistant", also=(409,))
async def delete_assistant(asked: Asked, assistant_id: str) -> Deleted:
    """Its numbers, chats and finished campaigns stay, with no assistant; its calls stay.

    While a campaign that is not finished calls with it, it cannot be deleted.
    """
    await delete_row(asked.connection, asked.organisation_id, assistant_id)
    return Deleted()
