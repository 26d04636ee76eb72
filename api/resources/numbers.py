"""`/numbers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field

from api.bodies import Body, without_defaults
from api.endpoints import Deleted, Endpoints
from api.kinds import E164, Line, Timestamp, Uuid
from api.parts import Asked
from api.views import View
from db import numbers as table

numbers = Endpoints("Numbers")


class _Common(Body):
    aliases: ClassVar[Mapping[str, str]] = {"agent_id": "assistant_id"}

    name: Line | None = None
    assistant_id: Uuid | None = Field(
        default=None, description="Who answers; `agent_id` is accepted too."
    )
    transfer_trunk_id: Uuid | None = None
    workflow_id: Uuid | None = None


class CreateNumber(_Common):
    """A number that calls will arrive on."""

    aliases: ClassVar[Mapping[str, str]] = {**_Common.aliases, "number": "phone_number"}

    example: ClassVar[Mapping[str, Any]] = {
        "phone_number": "+31201234567",
        "name": "Front desk",
        "assistant_id": "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10",
        "transfer_trunk_id": "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10",
    }

    phone_number: E164 = Field(description="E.164; `number` is accepted too.")
    is_active: bool = True


class UpdateNumber(_Common):
    """Changes of a number: only what is named; null clears."""

    model_config = ConfigDict(json_schema_extra=without_defaults)
    example: ClassVar[Mapping[str, Any]] = {"assistant_id": None, "is_active": False}

    is_active: bool = True


class NumberView(View):
    """A number, under the keys of every generation of clients."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "9b2c7e52-7c0a-4d0f-8b6e-5d1f0a7c7a13",
        "phone_number": "+31201234567",
        "name": "Front desk",
        "assistant_id": "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10",
        "assistant_name": "Reception",
        "agent_id": "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10",
        "agent_name": "Reception",
        "business_name": "Bakery Jansen",
        "transfer_trunk_id": "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10",
        "transfer_trunk_name": "Main carrier",
        "workflow_id": None,
        "workflow_name": None,
        "source": None,
        "is_active": True,
        "created_at": "2026-03-17T09:30:00.000Z",
        "updated_at": "2026-03-17T09:30:00.000Z",
    }

    id: Uuid
    phone_number: str
    name: str | None
    assistant_id: Uuid | None
    assistant_name: str | None
    agent_id: Uuid | None
    agent_name: str | None
    business_name: str | None
    transfer_trunk_id: Uuid | None
    transfer_trunk_name: str | None
    workflow_id: Uuid | None
    workflow_name: str | None
    source: str | None
    is_active: bool
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, record: table.NumberRecord) -> Self:
        """Show a row."""
        return cls.showing(record, agent_id=record.assistant_id, agent_name=record.assistant_name)


@numbers.add("GET", "/numbers", "List numbers, newest first", envelope="numbers")
async def list_numbers(asked: Asked) -> list[NumberView]:
    """All of the organisation."""
    records = await table.list_numbers(asked.connection, asked.organisation_id)
    return [NumberView.of(record) for record in records]


@numbers.add("POST", "/numbers", "Add a number", envelope="number", status=201, also=(404, 409))
async def create_number(asked: Asked, body: CreateNumber) -> NumberView:
    """A number exists once in the whole installation."""
    return NumberView.of(
        await table.create_number(asked.connection, asked.organisation_id, body.given())
    )


@numbers.add("GET", "/numbers/{number_id}", "Read a number", envelope="number")
async def show_number(asked: Asked, number_id: str) -> NumberView:
    """One of the organisation."""
    return NumberView.of(
        await table.get_number(asked.connection, asked.organisation_id, number_id)
    )


@numbers.add("PATCH", "/numbers/{number_id}", "Change a number", envelope="number")
async def update_number(asked: Asked, number_id: str, body: UpdateNumber) -> NumberView:
    """An `assistant_id` of null leaves its calls unanswered."""
    return NumberView.of(
        await table.update_number(asked.connection, asked.organisation_id, number_id, body.given())
    )


@numbers.add("DELETE", "/numbers/{number_id}", "Remove a number")
async def delete_number(asked: Asked, number_id: str) -> Deleted:
    """Its calls stay."""
    await table.NUMBERS.delete(asked.connection, asked.organisation_id, number_id)
    return Deleted()
