"""SIP trunks: the carriers that calls leave and come by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from db.table import Table, named
from db.trunk_states import seen_trunks
from sovereign_ari.errors import Conflict


@dataclass(frozen=True, slots=True)
class TrunkRecord:
    """One row of `sip_trunks`, without its password.

    Attributes:
        addresses: In the order of fail-over, each `host` or `host:port`; without a port it is
            5060, or 5061 when `transport` is `tls`. IPv6 stands in brackets.
        inbound_addresses: Hosts, addresses and networks that calls may come from.
        register: Whether we register there; None leaves it to what else is known of the trunk.
        inbound_auth: Whether callers must prove the account.
        media_encryption: `none` or `sdes`; None leaves it to the transport.
    """

    id: str
    organisation_id: str
    name: str
    provider: str | None
    addresses: list[str]
    inbound_addresses: list[str]
    outbound_number: str | None
    transport: str
    auth_username: str | None
    register: bool | None
    inbound_auth: bool
    media_encryption: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


TRUNKS = Table("sip_trunks", TrunkRecord, "SIP trunk", writable=("auth_password",))


def bound_to(organisation_id: str, trunk_id: str) -> str:
    """What the password of a trunk is sealed for."""
    return f"sip_trunk:{organisation_id}:{trunk_id}"


async def delete_trunk(
    connection: asyncpg.Connection, organisation_id: str, trunk_id: str
) -> None:
    """Remove a trunk that no number uses and no call goes over.

    Raises:
        NotFound: If the tenant has no such trunk.
        Conflict: If numbers use it, or calls do.
    """
    async with connection.transaction():
        place = organisation_id, trunk_id
        # The lock makes a number that is being given this trunk wait, or us wait for it.
        trunk = await TRUNKS.get(connection, organisation_id, trunk_id, lock=True)
        rows = await connection.fetch(
            "SELECT phone_number FROM phone_numbers"
            " WHERE organisation_id = $1 AND transfer_trunk_id = $2 ORDER BY phone_number",
            organisation_id,
            trunk_id,
        )
        if rows:
            raise Conflict(_in_use(trunk, [row["phone_number"] for row in rows]))
        calls = sum(seen.calls for seen in await seen_trunks(connection, *place) if seen.fresh)
        if calls:
            raise Conflict(_busy(trunk, calls))
        await TRUNKS.delete(connection, organisation_id, trunk_id)


def _busy(trunk: TrunkRecord, calls: int) -> str:
    count = "1 call goes" if calls == 1 else f"{calls} calls go"
    return (
        f"{count} over the SIP trunk {trunk.name}; PATCH is_active: false takes no more,"
        " and it can be deleted when they have ended"
    )


def _in_use(trunk: TrunkRecord, numbers: list[str]) -> str:
    count = "1 number" if len(numbers) == 1 else f"{len(numbers)} numbers"
    return (
        f"the SIP trunk {trunk.name} is used by {count}: {named(numbers)};"
        " detach it first (PATCH /numbers/{id} with transfer_trunk_id: null)"
    )
