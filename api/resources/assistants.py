"""`/assistants`, and `/agents`, its older name."""

from __future__ import annotations

from typing import Any

from api.bodies import Body, refusal
from api.endpoints import Deleted, Endpoints
from api.parts import Asked, Catalogue
from api.resources.assistant_bodies import AssistantView, CreateAssistant, UpdateAssistant
from api.resources.tools import read_tools
from db.assistants import ASSISTANTS, AssistantRecord
from db.assistants import delete_assistant as delete_row

ENVELOPES = {"assistants": "agents", "assistant": "agent"}
assistants = Endpoints("Assistants")


def aliases() -> list[Any]:
    """The same endpoints under `/agents`."""
    return assistants.alias("/assistants", "/agents", ENVELOPES)


def read_blocks(body: Body, catalogue: Catalogue) -> dict[str, Any]:
    """Check the provider blocks against the catalogue, and complete them.

    Raises:
        InvalidRequest: With one line per fault of any block.
    """
    values, lines = body.given(), []
    for kind in ("llm", "stt", "tts"):
        name = f"{kind}_config"
        block = values.get(name)
        if block is None:
            continue
        tools = block.pop("tools", None)
        wrong = _faults(catalogue, kind, block)
        lines += wrong
        if not wrong:
            values[name] = dict(catalogue.with_defaults(kind, block))
        if tools is not None:
            values[name]["tools"], wrong = read_tools(tools)
            lines += [f"{name}.{line}" for line in wrong]
    if lines:
        raise refusal(lines)
    return values


def _faults(catalogue: Catalogue, kind: str, block: dict[str, Any]) -> list[str]:
    if not isinstance(block.get("provider", ""), str):
        return [f"{kind}_config.provider: must be a string"]
    return catalogue.validate(kind, block)


def _view(asked: Asked, record: AssistantRecord) -> AssistantView:
    return AssistantView.of(record, asked.parts.catalogue, asked.parts.defaults)


@assistants.add("GET", "/assistants", "List assistants, newest first", envelope="assistants")
async def list_assistants(asked: Asked) -> list[AssistantView]:
    """All of the organisation."""
    records = await ASSISTANTS.list(asked.connection, asked.organisation_id)
    return [_view(asked, record) for record in records]


@assistants.add("POST", "/assistants", "Create an assistant", envelope="assistant", status=201)
async def create_assistant(asked: Asked, body: CreateAssistant) -> AssistantView:
    """Blocks left out or null follow the platform's default, also when that changes."""
    values = read_blocks(body, asked.parts.catalogue)
    return _view(asked, await ASSISTANTS.create(asked.connection, asked.organisation_id, values))


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
    values = read_blocks(body, asked.parts.catalogue)
    return _view(
        asked,
        await ASSISTANTS.update(asked.connection, asked.organisation_id, assistant_id, values),
    )


@assistants.add("DELETE", "/assistants/{assistant_id}", "Delete an assistant")
async def delete_assistant(asked: Asked, assistant_id: str) -> Deleted:
    """Its numbers stay, with no assistant; its calls stay."""
    await delete_row(asked.connection, asked.organisation_id, assistant_id)
    return Deleted()
