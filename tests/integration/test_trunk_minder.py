"""Several controllers that would all mind the trunks of PBXs, with a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network
from typing import cast

import asyncpg
import pytest

from db.organisations import create_organisation
from db.sip_trunks import TRUNKS
from sovereign_ari import trunk_minder
from sovereign_ari.errors import AsteriskRefused
from sovereign_ari.outgoing.names import LookUp
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.trunk_names import TrunkNames
from sovereign_ari.outgoing.trunks import MAY_BE_ALLOWED, NOT_RESOLVED, TrunkPlaces
from sovereign_ari.telephony.trunk_watch import PbxLog, TrunkWatch
from sovereign_ari.telephony.trunks import TrunkPusher
from sovereign_ari.trunk_minder import Pbx, TrunkMinder
from sovereign_ari.wire.ami import Ami
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.ari_objects import AriObjects
from tests.support.pbx_memory import PbxMemory

WITHIN_S = 8.0
PLACES = TrunkPlaces(OutgoingPolicy([ip_network("10.7.0.0/16")]))


class SeenBy(PbxMemory):
    """The memory of a PBX as one controller changes it."""

    def __init__(self, pbx: PbxMemory) -> None:
        super().__init__()
        self.things, self.variables = pbx.things, pbx.variables
        self.reads = 0

    async def read(self, kind: str, name: str) -> list[tuple[str, str]] | None:
        self.reads += 1
        return await super().read(kind, name)

    async def started_at(self) -> str:
        return "2026-01-01T00:00:00"


class Minding:
    """One controller."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        node: str,
        pbx: PbxMemory,
        ami: Ami | None = None,
        names: LookUp | None = None,
    ) -> None:
        self.seen = SeenBy(pbx)
        objects = cast("AriObjects", self.seen)
        watch = TrunkWatch(ami, objects, PbxLog(None))
        parts = Pbx(node, cast("AriHttp", self.seen), TrunkPusher(objects), watch)
        self._minder = TrunkMinder(
            pool, parts, lambda secret, _bound_to: secret, PLACES, TrunkNames(names)
        )
        self._task = asyncio.create_task(self._minder.run())

    async def die(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


class NotLetIn:
    """A manager interface with another password."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, action: str, **_: str) -> list[dict[str, str]]:
        self.asked += 1
        raise AsteriskRefused(403, f"manager: {action}: Authentication failed")


async def until(what: str, true: Callable[[], Awaitable[bool]]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WITHIN_S
    while not await true():
        assert loop.time() < deadline, what
        await asyncio.sleep(0.02)


async def a_trunk(connection: asyncpg.Connection, owner: str, addresses: Sequence[str]) -> str:
    values = {"name": "Carrier", "addresses": list(addresses), "transport": "udp"}
    return str((await TRUNKS.create(connection, owner, values)).id)


async def a_tenants_trunk(
    pool: asyncpg.Pool, addresses: Sequence[str] = ("203.0.113.1",)
) -> tuple[str, str]:
    """Make a tenant with a trunk; gives both ids."""
    async with pool.acquire() as connection:
        owner = await create_organisation(connection, "Tenant")
        return owner, await a_trunk(connection, owner, addresses)


async def the_operators_trunk(pool: asyncpg.Pool, addresses: Sequence[str]) -> str:
    """Make the operator's organisation with a trunk; gives the trunk's id."""
    async with pool.acquire() as connection:
        owner = await connection.fetchval(
            "INSERT INTO organisations (name, is_operator) VALUES ('Operator', true)"
            " RETURNING id::text"
        )
        return await a_trunk(connection, owner, addresses)


async def test_one_controller_of_a_node_minds_its_trunks_until_another_one_has_to(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_minder, "RETRY_S", 0.05)
    owner, trunk = await a_tenants_trunk(pool)
    pbx, elsewhere = PbxMemory(), PbxMemory()
    two = [Minding(pool, "here", pbx) for _ in range(2)]
    other = Minding(pool, "there", elsewhere)

    def match() -> list[str]:
        identifies = (fields for (kind, _), fields in pbx.things.items() if kind == "identify")
        return [value for fields in identifies for key, value in fields if key == "match"]

    async def nodes() -> bool:
        rows = await pool.fetch("SELECT node FROM trunk_states WHERE seen_at IS NOT NULL")
        return {row["node"] for row in rows} == {"here", "there"}

    async def is_moved(to: str) -> bool:
        return match() == [to]

    async def move(to: str) -> None:
        async with pool.acquire() as connection:
            await TRUNKS.update(connection, owner, trunk, {"addresses": [to]})
        await until(f"the trunk is at {to}", lambda: is_moved(f"{to}/32"))

    try:
        await until("a controller of each node minds the trunk", nodes)
        assert other.seen.done == ["put aor", "put aor", "put endpoint", "put identify"]
        await move("203.0.113.2")
        assert [one.seen.done for one in two].count([]) == 1, "one works, and the other one waits"
        busy, idle = sorted(two, key=lambda one: not one.seen.done)
        done = list(busy.seen.done)

        await busy.die()
        await move("203.0.113.3")
        assert busy.seen.done == done
        aors = ["delete aor", "put aor"] * 2
        assert idle.seen.done == [*aors, "put identify", "delete identify"]
    finally:
        for one in (*two, other):
            await one.die()


async def test_trunks_work_and_are_read_once_when_nobody_tells_how_they_fare(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_minder, "LOOK_EVERY_S", 0.02)
    await a_tenants_trunk(pool)
    manager = NotLetIn()
    minding = Minding(pool, "here", PbxMemory(), cast("Ami", manager))

    async def asked(times: int) -> bool:
        return manager.asked >= times

    try:
        await until("the PBX holds the trunk, and was verified", lambda: asked(3))
        reads = minding.seen.reads
        assert minding.seen.done == ["put aor", "put aor", "put endpoint", "put identify"]
        await until("the manager is asked again and again", lambda: asked(8))
        assert minding.seen.reads == reads
        assert len(minding.seen.done) == 4
    finally:
        await minding.die()


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("10.6.0.1", "10.6.0.1 is not a public address; "),
        ("pbx.example:5070", "pbx.example has no public address; "),
        ("10.7.0.1", None),
    ],
)
async def test_a_tenants_trunk_to_the_operators_network_is_not_pushed_and_says_why(
    pool: asyncpg.Pool, address: str, fault: str | None
) -> None:
    async def look_up(host: str, _port: int) -> list[str]:
        assert host == "pbx.example"
        return ["203.0.113.9", "10.6.0.1"]

    _, theirs = await a_tenants_trunk(pool, [address, "203.0.113.1"])
    ours = await the_operators_trunk(pool, [address, "203.0.113.1"])
    pbx = PbxMemory()
    minding = Minding(pool, "here", pbx, names=look_up)

    async def seen() -> bool:
        rows = await pool.fetch("SELECT error FROM trunk_states WHERE seen_at IS NOT NULL")
        return len(rows) == 2

    try:
        await until("it is said how both fare", seen)
        error = await pool.fetchval("SELECT error FROM trunk_states WHERE trunk_id = $1", theirs)
        assert error == (fault and fault + MAY_BE_ALLOWED)
        pushed = {name[:42] for kind, name in pbx.things if kind == "endpoint"}
        assert f"trunk-{ours}" in pushed
        assert (f"trunk-{theirs}" in pushed) is (fault is None)
    finally:
        await minding.die()


async def test_a_tenants_trunk_whose_name_stops_resolving_goes_and_comes_back_and_ours_stays(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk_minder, "READ_EVERY_S", 0.05)
    monkeypatch.setattr(trunk_minder, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(trunk_minder, "UNRESOLVED_AGAIN_S", 0.05)
    found = ["203.0.113.9"]

    async def look_up(_host: str, _port: int) -> list[str]:
        if not found:
            raise OSError("no answer")
        return list(found)

    _, theirs = await a_tenants_trunk(pool, ["pbx.example"])
    ours = await the_operators_trunk(pool, ["pbx.example"])
    pbx = PbxMemory()
    minding = Minding(pool, "here", pbx, names=look_up)
    their_endpoint, our_endpoint = (("endpoint", f"trunk-{one}-1") for one in (theirs, ours))

    async def there() -> bool:
        return {their_endpoint, our_endpoint} <= pbx.things.keys()

    async def gone() -> bool:
        query = "SELECT error FROM trunk_states WHERE trunk_id = $1"
        error = await pool.fetchval(query, theirs)
        return their_endpoint not in pbx.things and error == f"pbx.example {NOT_RESOLVED}"

    try:
        await until("both are pushed", there)
        found.clear()
        await until("theirs is taken away, and it is said why", gone)
        assert our_endpoint in pbx.things
        networks = [
            value
            for (kind, name), fields in pbx.things.items()
            if kind == "identify" and name.startswith(f"trunk-{ours}")
            for key, value in fields
            if key == "match"
        ]
        assert networks == ["203.0.113.9/32"], "ours keeps the addresses it had"
        found.append("203.0.113.9")
        await until("theirs is pushed again", there)
    finally:
        await minding.die()
