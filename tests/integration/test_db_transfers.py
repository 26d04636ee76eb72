"""What calls to a number may be transferred over, as stored."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from db.transfers import find_line
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.permission import OutboundPermission
from sovereign_ari.domain.transfer import TransferLine
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.transfer_lines import PooledTransferLines
from tests.support.commanded import live_call

NUMBER, OTHER = "+31201234567", "+31207654321"


async def _organisation(pool: asyncpg.Pool) -> str:
    return str(
        await pool.fetchval(
            """
            INSERT INTO organisations (name, is_operator, outbound_refused_prefixes)
            VALUES ('o', false, ARRAY['+31900']) RETURNING id
            """
        )
    )


async def _number(pool: asyncpg.Pool, organisation: str, number: str, trunk: str | None) -> str:
    return str(
        await pool.fetchval(
            """
            INSERT INTO phone_numbers (organisation_id, phone_number, transfer_trunk_id)
            VALUES ($1, $2, $3) RETURNING id
            """,
            organisation,
            number,
            trunk,
        )
    )


async def test_the_line_of_a_number_is_its_trunk_and_what_its_owner_may_call(
    pool: asyncpg.Pool,
) -> None:
    ours, theirs = await _organisation(pool), await _organisation(pool)
    trunk = str(
        await pool.fetchval(
            """
            INSERT INTO sip_trunks (organisation_id, name, addresses)
            VALUES ($1, 't', ARRAY['a.example.com', 'b.example.com']) RETURNING id
            """,
            ours,
        )
    )
    number = await _number(pool, ours, NUMBER, trunk)
    await _number(pool, theirs, OTHER, None)
    permission = OutboundPermission(None, ["+31900"])
    addresses = ("a.example.com", "b.example.com")
    line = TransferLine(trunk, addresses, permission, called=NUMBER)
    assert await find_line(pool, ours, OTHER, number_id=number) == line
    assert (await find_line(pool, ours, NUMBER, number_id=number)).is_ours
    assert not (await find_line(pool, theirs, NUMBER, number_id=number)).is_ours
    assert (await find_line(pool, theirs, OTHER, number_id=number)).trunk_id is None
    assert (await find_line(pool, ours, OTHER)).trunk_id is None
    call = await live_call(pool, ours)
    assert (await find_line(pool, ours, OTHER, call_id=call)).trunk_id is None
    await pool.execute("UPDATE calls SET number_id = $1 WHERE id = $2", number, call)
    assert await find_line(pool, ours, OTHER, call_id=call) == line
    await pool.execute("UPDATE sip_trunks SET is_active = false")
    assert (await find_line(pool, ours, OTHER, call_id=call)).trunk_id is None


async def _look_up(host: str, _port: int) -> Sequence[str]:
    known = {"inside.example.com": "10.0.0.5", "by-address.example.com": "198.51.99.7"}
    return [known.get(host, "8.8.8.8")]


async def test_a_sip_uri_reaches_neither_our_own_network_nor_the_carrier_of_others(
    pool: asyncpg.Pool,
) -> None:
    ours, theirs = await _organisation(pool), await _organisation(pool)
    for owner, address in (
        (ours, "sip.ours.example.com"),
        (theirs, "sip.theirs.example.com:5070"),
        (theirs, "198.51.99.7"),
        (theirs, "[2001:4860::1]:5080"),
    ):
        await pool.execute(
            "INSERT INTO sip_trunks (organisation_id, name, addresses) VALUES ($1, $2, ARRAY[$2])",
            owner,
            address,
        )
    lines = PooledTransferLines(pool, OutgoingPolicy(names=_look_up).addresses)
    route = Route(organisation_id=ours, number_id=None, assistant=None)
    reached = {}
    for host in (
        "sip.example.com",
        "sip.ours.example.com",
        "inside.example.com",
        "by-address.example.com",
        "SIP.theirs.example.com",
        "198.51.99.7",
        "[2001:4860::1]",
        "[2001:4860::2]",
    ):
        line = await lines.find(route, f"sip:desk@{host}")
        reached[host] = line.may_reach(host)
    assert [host for host, may in reached.items() if may] == [
        "sip.example.com",
        "sip.ours.example.com",
        "[2001:4860::2]",
    ]
