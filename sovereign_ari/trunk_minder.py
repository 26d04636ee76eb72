"""Keeps the PBX of this node in agreement with the stored SIP trunks, and writes how they fare.

Every controller runs this; one of a node does the work, and another one goes on when it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from db import trunk_states
from db.listening import FAULTS, listening
from db.sip_trunks import bound_to
from db.trunk_states import StoredTrunk
from sovereign_ari.domain.trunk import is_username, split_address
from sovereign_ari.domain.trunk_objects import Layout, Place, Trunk, lay_out, registrar_of
from sovereign_ari.domain.trunk_sources import Network
from sovereign_ari.domain.trunk_state import AddressState, Registration, TrunkState
from sovereign_ari.errors import SovereignError, VaultClosed
from sovereign_ari.outgoing.trunk_names import TrunkNames
from sovereign_ari.outgoing.trunks import NOT_RESOLVED, TrunkPlaces
from sovereign_ari.telephony.trunk_watch import TrunkWatch
from sovereign_ari.telephony.trunks import TrunkPusher
from sovereign_ari.wire.ari_http import AriHttp

LOOK_EVERY_S = 1.0
VERIFY_EVERY_S = 30.0
READ_EVERY_S = 60.0
WRITE_EVERY_S = 5.0
RETRY_S = 2.0
UNRESOLVED_AGAIN_S = 10.0
"""How soon a name is looked up again that keeps a trunk away."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pbx:
    """What there is to the PBX of a node.

    Attributes:
        node: Its name.
        ari: Requests, and when it was started.
        pusher: What it holds.
        watch: What it says.
    """

    node: str
    ari: AriHttp
    pusher: TrunkPusher
    watch: TrunkWatch


class TrunkMinder:
    """The work of one controller.

    Args:
        pool: Of the database.
        pbx: To be kept in agreement.
        open_secret: Opens a sealed password; gets what it is sealed for, too.
        places: Where trunks of others than the operator may lead to.
        names: Looks up the names in trunks.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        pbx: Pbx,
        open_secret: Callable[[bytes, str], bytes],
        places: TrunkPlaces,
        names: TrunkNames,
    ) -> None:
        self._pool = pool
        self._pbx = pbx
        self._open = open_secret
        self._places = places
        self._wake = asyncio.Event()
        self._changed = True
        self._names = names
        self._trunks: list[Trunk] = []
        self._refused: dict[str, TrunkState] = {}
        self._registrars: dict[str, int] = {}
        self._layout: Layout | None = None
        self._started_at: str | None = None
        self._due_s = dict.fromkeys(("read", "verify", "write"), 0.0)
        self._written: dict[str, TrunkState] = {}

    def look_again(self) -> None:
        """Do not wait: the PBX may have been restarted."""
        self._wake.set()

    async def run(self) -> None:
        """Mind the trunks until cancelled, whatever becomes of the database and of the PBX."""
        while True:
            try:
                async with listening(self._pool, trunk_states.CHANGES, self._heard) as connection:
                    await self._until_ours(connection)
                    self._begin()
                    while True:
                        await self._turn(connection)
            except FAULTS as error:
                _log.warning("trunks: %s: %s", type(error).__name__, error)
            await asyncio.sleep(RETRY_S)

    async def _until_ours(self, connection: asyncpg.Connection) -> None:
        while True:
            if await trunk_states.is_ours_to_mind(connection, self._pbx.node):
                return
            await asyncio.sleep(RETRY_S)

    def _heard(self, _payload: str | None) -> None:
        self._changed = True
        self._wake.set()

    def _begin(self) -> None:
        """Know nothing of what others did to the PBX meanwhile."""
        self._changed = True
        self._started_at = None
        self._written.clear()

    async def _turn(self, connection: asyncpg.Connection) -> None:
        self._wake.clear()
        try:
            await self._agree(connection)
        except SovereignError as error:
            _log.warning("trunks: %s", error)
            self._layout = None
        else:
            await self._look(connection)
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _agree(self, connection: asyncpg.Connection) -> None:
        """Have the PBX hold what it should."""
        started_at = await self._pbx.ari.started_at()
        if started_at != self._started_at:
            self._pbx.pusher.forget()
            self._layout = None
            self._started_at = started_at
        if self._changed or self._is_due("read", READ_EVERY_S):
            self._changed = False
            self._trunks = await self._read(connection)
            self._layout = None
        if self._layout is None:
            self._layout = lay_out(self._trunks, self._registrars)
            ids = [*(trunk.id for trunk in self._trunks), *self._refused]
            await trunk_states.write_shared(connection, self._pbx.node, ids, self._layout.shared)
            made = await self._pbx.pusher.sync(self._layout)
            if made:
                _log.info("trunks: pushed %d objects of %d trunks", made, len(self._trunks))
        elif self._is_due("verify", VERIFY_EVERY_S):
            await self._pbx.pusher.verify(self._layout)

    async def _look(self, connection: asyncpg.Connection) -> None:
        """Write how the trunks fare: what has changed at once, now and then all."""
        try:
            seen = await self._pbx.watch.look(self._trunks, time.monotonic())
        except SovereignError as error:  # what the PBX holds is none the worse for that
            _log.warning("trunks: how they fare is not known: %s", error)
            return
        self._follow(seen)
        states = {**seen, **self._refused}
        everything = self._is_due("write", WRITE_EVERY_S)
        news = {
            trunk: state
            for trunk, state in states.items()
            if everything or self._written.get(trunk) != state
        }
        if news:
            await trunk_states.write_states(connection, self._pbx.node, news)
            self._written = states

    def _follow(self, states: dict[str, TrunkState]) -> None:
        """Register at the first address that answers."""
        chosen = {
            trunk.id: registrar_of([at.reachable for at in states[trunk.id].addresses])
            for trunk in self._trunks
            if trunk.registers
        }
        if chosen != self._registrars:
            self._registrars = chosen
            self._layout = None

    async def _read(self, connection: asyncpg.Connection) -> list[Trunk]:
        stored = await trunk_states.active_trunks(connection)
        hosts = {
            (trunk.organisation_id, host)
            for trunk in stored
            for host in (*source_hosts(trunk), *(() if trunk.is_operators else goals(trunk)))
        }
        await self._names.look_up(hosts)
        faults = {trunk.id: fault for trunk in stored if (fault := self._fault_of(trunk))}
        if any(NOT_RESOLVED in fault for fault in faults.values()):
            soon_s = time.monotonic() + UNRESOLVED_AGAIN_S
            self._due_s["read"] = min(self._due_s["read"], soon_s)
        self._refused = {
            trunk.id: refused_state(trunk, faults[trunk.id])
            for trunk in stored
            if trunk.id in faults
        }
        return [self._made_of(trunk) for trunk in stored if trunk.id not in faults]

    def _fault_of(self, stored: StoredTrunk) -> str | None:
        """Say why a trunk must not be: a tenant could look around in the operator's network."""
        if stored.is_operators:
            return None
        for host in goals(stored):
            networks = self._names.now((stored.organisation_id, host))
            found = [str(network.network_address) for network in networks]
            fault = self._places.fault(host) or self._places.fault_of_name(host, found)
            if fault is not None:
                return fault
        return None

    def _made_of(self, stored: StoredTrunk) -> Trunk:
        password = None
        if stored.auth_password is not None:
            place = bound_to(stored.organisation_id, stored.id)
            try:
                password = self._open(stored.auth_password, place).decode()
            except VaultClosed as error:
                _log.error("trunks: the password of %s: %s", stored.id, error)
        asked = ((stored.organisation_id, host) for host in source_hosts(stored))
        networks = (self._names.last(one) for one in asked)
        return trunk_of_row(stored, password, frozenset[Network]().union(*networks))

    def _is_due(self, what: str, every_s: float) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s[what]:
            return False
        self._due_s[what] = now_s + every_s
        return True


def source_hosts(stored: StoredTrunk) -> Sequence[str]:
    """Where the calls of a trunk come from: as it says, else from where ours go."""
    if stored.inbound_addresses:
        return stored.inbound_addresses
    return goals(stored)


def goals(stored: StoredTrunk) -> Sequence[str]:
    """Where the calls of a trunk go to: names and addresses, without ports and brackets."""
    return [split_address(address)[0].strip("[]") for address in stored.addresses]


def refused_state(stored: StoredTrunk, fault: str) -> TrunkState:
    """How a trunk fares that the PBX is not told of."""
    addresses = tuple(AddressState(address) for address in stored.addresses)
    return TrunkState(Registration.NONE, addresses, fault, calls=0)


def trunk_of_row(stored: StoredTrunk, password: str | None, sources: frozenset[Network]) -> Trunk:
    """Decide how a stored trunk is to work, where it does not say so."""
    usual = 5061 if stored.transport == "tls" else 5060
    places = [split_address(address) for address in stored.addresses]
    named_well = stored.auth_username is not None and is_username(stored.auth_username)
    account = named_well and password is not None
    wished = stored.register if stored.register is not None else not stored.inbound_addresses
    named = bool(stored.inbound_addresses)
    return Trunk(
        id=stored.id,
        places=tuple(Place(host, port or usual) for host, port in places),
        transport=stored.transport,
        username=stored.auth_username if account else None,
        password=password if account else None,
        registers=account and wished and not (stored.inbound_auth and stored.register is None),
        inbound_auth=account and stored.inbound_auth,
        encrypted=(stored.media_encryption or ("sdes" if stored.transport == "tls" else "none"))
        == "sdes",
        number=stored.outbound_number,
        sources=sources if named or not stored.inbound_auth else frozenset(),
    )
