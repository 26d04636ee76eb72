"""`POST /calls/outbound`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from api.endpoints import Endpoints
from api.kinds import E164, Text, Uuid
from api.parts import Asked
from api.resources.transient import WhoAnswers, read_answerer
from api.views import View
from db.outbound import (
    OutboundRequest,
    choose_number,
    permission_of,
    request_call,
    take_place_to_call,
)
from sovereign_ari.domain.ids import bridge_of, call_id
from sovereign_ari.domain.outbound import LONGEST_RING_S, SHORTEST_RING_S
from sovereign_ari.errors import Impossible

outbound = Endpoints("Calls")


class OutboundCallRequest(WhoAnswers):
    """Whom to call, and who talks: a stored assistant, one with changes, or the call's own."""

    example: ClassVar[Mapping[str, Any]] = {
        "destination": "+31612345678",
        "assistant_id": "3f0c2b52-7f4f-4d0e-9b7e-0a4f6d1c9e21",
        "assistant_override": {"metadata": {"order": "42"}},
        "number_id": "0b6e2f4a-5c1d-4e8f-9a3b-7d2c1e0f9a8b",
        "first_message": "Hello Anna, this is the dentist. Do you have a minute?",
        "context": "Anna has an appointment tomorrow at ten.",
        "ring_timeout_seconds": 30,
        "withhold_caller_id": False,
    }

    destination: E164
    number_id: Uuid | None = Field(
        default=None,
        description="The number to call from; without it, the oldest active one with a SIP trunk.",
    )
    first_message: Text | None = Field(
        default=None, description="Said first, in the place of the assistant's own."
    )
    context: Text | None = Field(
        default=None, description="What the model should know of this call."
    )
    ring_timeout_seconds: Annotated[int, Field(ge=SHORTEST_RING_S, le=LONGEST_RING_S)] | None = (
        Field(default=None, description="How long it may ring; null for the platform's 45 s.")
    )
    withhold_caller_id: bool = Field(
        default=False,
        description="Whether the called person is to see no number. The trunk must allow it.",
    )


class OutboundCall(View):
    """A call that was asked for. `GET /calls/{id}` tells what becomes of it."""

    example: ClassVar[Mapping[str, Any]] = {
        "success": True,
        "call_id": "call-outbound-01kah0zq7me4s1v9w2x3y4z5a6",
        "status": "dialing",
        "room_name": "call-outbound-01kah0zq7me4s1v9w2x3y4z5a6-bridge",
    }

    success: bool
    call_id: str
    status: Literal["dialing"]
    room_name: str


@outbound.add(
    "POST", "/calls/outbound", "Call somebody", status=201, scope="calls", also=(404, 422, 429)
)
async def start_outbound_call(asked: Asked, body: OutboundCallRequest) -> OutboundCall:
    """The assistant talks once the called person has answered.

    The number called from must be active and have a SIP trunk. The organisation must be allowed
    to call the destination (`destination_not_allowed` says why it is not), and to place one more
    call now: `too_many_calls`, `too_many_calls_per_second`.

    The status of the call is `connecting`, then `ringing`, `in-progress`, and at the end `ended`
    and so on as for every call. When nobody answered it is `failed`, and `end_reason` says why:
    `busy`, `no_answer`, `declined`, or `unreachable` for a number that does not exist, a network
    that is congested, a trunk that does not answer, or an installation in which no controller had
    room; `error` has the SIP status.
    """
    connection, organisation_id = asked.connection, asked.organisation_id
    answerer = await read_answerer(asked, connection, body)
    number = await choose_number(connection, organisation_id, body.number_id)
    permission = await permission_of(connection, organisation_id)
    if (fault := permission.fault(body.destination)) is not None:
        raise Impossible(
            f"destination: {fault}", code="destination_not_allowed", param="destination"
        )
    await take_place_to_call(connection, organisation_id, permission)
    now, stored = asked.parts.now(), answerer.stored
    new = call_id("outbound", int(now.timestamp() * 1000), secrets.randbits(80))
    await request_call(
        connection,
        organisation_id,
        OutboundRequest(
            call_id=new,
            at=now,
            destination=body.destination,
            number=number,
            assistant_id=None if stored is None else stored.id,
            assistant_name=None if stored is None else stored.name,
            config=answerer.config,
            first_message=body.first_message,
            context=body.context,
            ring_s=body.ring_timeout_seconds,
            withheld=body.withhold_caller_id,
        ),
    )
    return OutboundCall(success=True, call_id=new, status="dialing", room_name=bridge_of(new))
