"""`/sip-trunks`."""

from __future__ import annotations

from typing import Any

import asyncpg

from api.bodies import refusal
from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.trunk_accounts import Account
from api.resources.trunk_addresses import parse_address
from api.resources.trunk_bodies import CreateTrunk, UpdateTrunk, read_trunk
from api.resources.trunk_views import TrunkView
from db.organisations import get_organisation
from db.sip_trunks import TRUNKS, TrunkRecord, bound_to
from db.sip_trunks import delete_trunk as delete_row
from db.trunk_states import SeenTrunk, seen_trunks
from sovereign_ari.errors import Conflict
from sovereign_ari.outgoing.trunks import TrunkPlaces

ONE: dict[str, str] = {"envelope": "trunk", "older_envelope": "sip_trunk"}
ACCOUNT = frozenset({"auth_username", "auth_password", "register", "inbound_auth"})
TAKEN = "auth_username is taken: callers with inbound_auth are told apart by it; choose another"
sip_trunks = Endpoints("SIP trunks")


def _seal(asked: Asked, trunk_id: str, values: dict[str, Any]) -> dict[str, Any]:
    password = values.get("auth_password")
    if password is None:
        return values
    place = bound_to(asked.organisation_id, trunk_id)
    return {**values, "auth_password": asked.parts.vault.seal(password.encode(), place)}


async def _check_places(asked: Asked, values: dict[str, Any]) -> None:
    """See `sovereign_ari.outgoing.trunks`; names are looked up when the PBX is told of them."""
    places = TrunkPlaces(asked.parts.outgoing)
    hosts = [parse_address(address).host for address in values.get("addresses", ())]
    faults = [f"address: {fault}" for host in hosts if (fault := places.fault(host))]
    if not faults:
        return
    owner = await get_organisation(asked.connection, asked.organisation_id)
    if not owner.is_operator:
        raise refusal(faults)


async def _write(asked: Asked, trunk_id: str, values: dict[str, Any]) -> TrunkRecord:
    """Change a trunk that is locked, unless it cannot work then."""
    place = asked.organisation_id, trunk_id
    try:
        made = await TRUNKS.update(asked.connection, *place, _seal(asked, trunk_id, values))
    except asyncpg.UniqueViolationError:
        raise Conflict(TAKEN) from None
    sealed = await TRUNKS.sealed(asked.connection, *place, "auth_password")
    account = Account(made.auth_username, sealed is not None, made.register, made.inbound_auth)
    if lines := account.faults():
        raise refusal(lines)
    return made


@sip_trunks.add("GET", "/sip-trunks", "List SIP trunks, newest first", envelope="trunks")
async def list_sip_trunks(asked: Asked) -> list[TrunkView]:
    """All of the organisation, with how they fare."""
    records = await TRUNKS.list(asked.connection, asked.organisation_id)
    seen: dict[str, list[SeenTrunk]] = {}
    for one in await seen_trunks(asked.connection, asked.organisation_id):
        seen.setdefault(one.trunk_id, []).append(one)
    return [TrunkView.of(record, seen.get(record.id, ())) for record in records]


@sip_trunks.add("POST", "/sip-trunks", "Add a SIP trunk", **ONE, status=201, also=(409,))
async def create_sip_trunk(asked: Asked, body: CreateTrunk) -> TrunkView:
    """It works on every node within two seconds.

    The address may be written in the way of any generation of clients. Only the operator's own
    trunks may lead to private addresses, such as a PBX of the office, unless the operator allows
    the network (SOVEREIGN_OUTGOING_ALLOW).
    """
    values = read_trunk(body, None)
    await _check_places(asked, values)
    account = {name: values.pop(name) for name in ACCOUNT & values.keys()}
    made = await TRUNKS.create(asked.connection, asked.organisation_id, values)
    # A password is sealed for the id, which exists only now.
    return TrunkView.of(await _write(asked, made.id, account))


@sip_trunks.add("GET", "/sip-trunks/{trunk_id}", "Read a SIP trunk", **ONE)
async def show_sip_trunk(asked: Asked, trunk_id: str) -> TrunkView:
    """One of the organisation, with how it fares."""
    record = await TRUNKS.get(asked.connection, asked.organisation_id, trunk_id)
    return TrunkView.of(
        record, await seen_trunks(asked.connection, asked.organisation_id, trunk_id)
    )


@sip_trunks.add("PATCH", "/sip-trunks/{trunk_id}", "Change a SIP trunk", **ONE, also=(409,))
async def update_sip_trunk(asked: Asked, trunk_id: str, body: UpdateTrunk) -> TrunkView:
    """Only named fields change, on every node within two seconds; null clears.

    Calls that go over it are left alone.
    """
    place = asked.organisation_id, trunk_id
    stored = await TRUNKS.get(asked.connection, *place, lock=True)
    values = read_trunk(body, stored)
    await _check_places(asked, values)
    made = await _write(asked, trunk_id, values)
    return TrunkView.of(made, await seen_trunks(asked.connection, *place))


@sip_trunks.add("DELETE", "/sip-trunks/{trunk_id}", "Remove a SIP trunk", also=(409,))
async def delete_sip_trunk(asked: Asked, trunk_id: str) -> Deleted:
    """A trunk that numbers use, or that calls go over, stays: the answer names them."""
    await delete_row(asked.connection, asked.organisation_id, trunk_id)
    return Deleted()
