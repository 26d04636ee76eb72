"""`/sip-trunks`."""

from __future__ import annotations

from typing import Any

from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.trunk_bodies import CreateTrunk, TrunkView, UpdateTrunk, read_trunk
from db.sip_trunks import TRUNKS, bound_to
from db.sip_trunks import delete_trunk as delete_row

ONE: dict[str, str] = {"envelope": "trunk", "older_envelope": "sip_trunk"}
sip_trunks = Endpoints("SIP trunks")


def _seal(asked: Asked, trunk_id: str, values: dict[str, Any]) -> dict[str, Any]:
    password = values.get("auth_password")
    if password is None:
        return values
    place = bound_to(asked.organisation_id, trunk_id)
    return {**values, "auth_password": asked.parts.vault.seal(password.encode(), place)}


@sip_trunks.add("GET", "/sip-trunks", "List SIP trunks, newest first", envelope="trunks")
async def list_sip_trunks(asked: Asked) -> list[TrunkView]:
    """All of the organisation."""
    records = await TRUNKS.list(asked.connection, asked.organisation_id)
    return [TrunkView.of(record) for record in records]


@sip_trunks.add("POST", "/sip-trunks", "Add a SIP trunk", **ONE, status=201)
async def create_sip_trunk(asked: Asked, body: CreateTrunk) -> TrunkView:
    """The address may be written in the way of any generation of clients."""
    values = read_trunk(body, None)
    password = {"auth_password": values.pop("auth_password", None)}
    made = await TRUNKS.create(asked.connection, asked.organisation_id, values)
    if password["auth_password"] is not None:  # it is sealed for the id, which exists only now
        sealed = _seal(asked, made.id, password)
        made = await TRUNKS.update(asked.connection, asked.organisation_id, made.id, sealed)
    return TrunkView.of(made)


@sip_trunks.add("GET", "/sip-trunks/{trunk_id}", "Read a SIP trunk", **ONE)
async def show_sip_trunk(asked: Asked, trunk_id: str) -> TrunkView:
    """One of the organisation."""
    return TrunkView.of(await TRUNKS.get(asked.connection, asked.organisation_id, trunk_id))


@sip_trunks.add("PATCH", "/sip-trunks/{trunk_id}", "Change a SIP trunk", **ONE)
async def update_sip_trunk(asked: Asked, trunk_id: str, body: UpdateTrunk) -> TrunkView:
    """Only named fields change, from the next call on; null clears."""
    stored = await TRUNKS.get(asked.connection, asked.organisation_id, trunk_id, lock=True)
    values = _seal(asked, trunk_id, read_trunk(body, stored))
    return TrunkView.of(
        await TRUNKS.update(asked.connection, asked.organisation_id, trunk_id, values)
    )


@sip_trunks.add("DELETE", "/sip-trunks/{trunk_id}", "Remove a SIP trunk", also=(409,))
async def delete_sip_trunk(asked: Asked, trunk_id: str) -> Deleted:
    """A trunk that numbers use stays: the answer names them."""
    await delete_row(asked.connection, asked.organisation_id, trunk_id)
    return Deleted()
