"""Looks how the trunks fare: registrations, answers to OPTIONS, and channels."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sovereign_ari.domain.dialplan import TRUNK_VARIABLE
from sovereign_ari.domain.trunk import endpoint_of, trunk_of
from sovereign_ari.domain.trunk_objects import SHARED_PREFIX, Trunk
from sovereign_ari.domain.trunk_state import (
    AddressState,
    Attempt,
    Registration,
    TrunkState,
    contact_of,
    fault_of,
    read_attempt,
    registration_of,
)
from sovereign_ari.wire.ami import Ami
from sovereign_ari.wire.ari_objects import AriObjects

CONTACTS_EVERY_S = 5.0
UNREACHABLE_EVERY_S = 3.0
"""How often an address that does not answer is asked again; the PBX would wait `QUALIFY_S`."""

LOOKS_BACK_BYTES = 1 << 16
_REGISTRATIONS = "PJSIPShowRegistrationsOutbound"

Uris = tuple[str, str]


class PbxLog:
    """The end of the PBX's log, where it says why a registration failed.

    Args:
        path: Of the file; None when we may not read it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read_to: int | None = None

    def failures(self) -> list[Attempt]:
        """Read what has come since the last time; the file may be rotated meanwhile."""
        if self._path is None:
            return []
        try:
            size = self._path.stat().st_size
            if self._read_to is None:
                self._read_to = max(0, size - LOOKS_BACK_BYTES)
            begin = self._read_to if self._read_to <= size else 0
            with self._path.open("rb") as file:
                file.seek(begin)
                text = file.read(LOOKS_BACK_BYTES)
        except OSError:
            return []
        whole = text.rpartition(b"\n")[0]
        self._read_to = begin + len(whole) + (1 if whole else 0)
        lines = whole.decode(errors="replace").splitlines()
        return [attempt for line in lines if (attempt := read_attempt(line))]


@dataclass
class _Seen:
    """What was seen last of one PBX."""

    failures: dict[Uris, Attempt] = field(default_factory=dict)
    contacts: dict[str, AddressState] = field(default_factory=dict)
    contacts_at_s: float = -math.inf
    asked_at_s: dict[str, float] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)  # trunks by channels


class TrunkWatch:
    """What one PBX says of all trunks.

    Args:
        ami: Its manager interface; without, states stay unknown.
        objects: Requests to its ARI.
        log: Where it writes why a registration failed.
    """

    def __init__(self, ami: Ami | None, objects: AriObjects, log: PbxLog) -> None:
        self._ami = ami
        self._objects = objects
        self._log = log
        self._seen = _Seen()

    async def look(self, trunks: Sequence[Trunk], now_s: float) -> dict[str, TrunkState]:
        """Ask the PBX; contacts every few seconds only, for each is a question of its own.

        Args:
            trunks: All that were pushed.
            now_s: Of a clock that does not jump.

        Raises:
            SovereignError: If the PBX does not answer.
        """
        if not trunks:
            return {}
        calls = await self._calls(trunks)
        for failure in await asyncio.to_thread(self._log.failures):
            self._seen.failures[failure.server_uri, failure.client_uri] = failure
        statuses = await self._registrations() if any(t.registers for t in trunks) else {}
        if self._ami is not None:
            await self._contacts(self._ami, self._due(trunks, now_s), now_s)
        return {trunk.id: self._state(trunk, statuses, calls[trunk.id]) for trunk in trunks}

    def _due(self, trunks: Sequence[Trunk], now_s: float) -> dict[str, str]:
        """Name the endpoints to look at: all now and then, between it those without an answer."""
        seen, endpoints = self._seen, _endpoints(trunks)
        seen.contacts = {at: state for at, state in seen.contacts.items() if at in endpoints}
        seen.asked_at_s = {at: when for at, when in seen.asked_at_s.items() if at in endpoints}
        if now_s - seen.contacts_at_s >= CONTACTS_EVERY_S:
            seen.contacts_at_s = now_s
            return endpoints
        return {at: address for at, address in endpoints.items() if self._is_news(at, now_s)}

    def _is_news(self, endpoint: str, now_s: float) -> bool:
        state = self._seen.contacts.get(endpoint)
        if state is None or state.reachable is None:
            return True
        return not state.reachable and self._may_ask(endpoint, now_s)

    def _may_ask(self, endpoint: str, now_s: float) -> bool:
        return now_s - self._seen.asked_at_s.get(endpoint, -math.inf) >= UNREACHABLE_EVERY_S

    async def _calls(self, trunks: Sequence[Trunk]) -> Counter[str]:
        """Count the channels of each trunk, also those over what it shares with others."""
        by_account = {trunk.username: trunk.id for trunk in trunks if trunk.inbound_auth}
        calls: Counter[str] = Counter()
        shared: list[str] = []
        for endpoint, channels in (await self._objects.channels()).items():
            if found := trunk_of(endpoint):
                calls[found[0]] += len(channels)
            elif endpoint in by_account:
                calls[by_account[endpoint]] += len(channels)
            elif endpoint.startswith(SHARED_PREFIX):
                shared += channels
        calls.update(await self._owners(shared))
        return calls

    async def _owners(self, channels: Sequence[str]) -> list[str]:
        """Say whose the calls over shared endpoints are; those that nobody has taken are left out.

        The number that was dialled decides, so a controller has told the channel.
        """
        known = self._seen.owners
        self._seen.owners = owners = {one: known[one] for one in channels if one in known}
        for channel in channels:
            if channel not in owners:
                said = await self._objects.channel_variable(channel, TRUNK_VARIABLE)
                if said and not said.startswith(SHARED_PREFIX):
                    owners[channel] = said
        return list(owners.values())

    async def _registrations(self) -> dict[str, tuple[str, Uris]]:
        if self._ami is None:
            return {}
        return {
            event.get("ObjectName", ""): (
                event.get("Status", ""),
                (event.get("ServerUri", ""), event.get("ClientUri", "")),
            )
            for event in await self._ami.ask(_REGISTRATIONS)
            if event.get("Event") == "OutboundRegistrationDetail"
        }

    async def _contacts(self, ami: Ami, endpoints: Mapping[str, str], now_s: float) -> None:
        for endpoint, address in endpoints.items():
            events = await ami.ask("PJSIPShowEndpoint", Endpoint=endpoint)
            self._seen.contacts[endpoint] = state = contact_of(events, address)
            if not state.reachable and self._may_ask(endpoint, now_s):
                # The PBX would send its next OPTIONS at some time within `QUALIFY_S`.
                await ami.do("PJSIPQualify", Endpoint=endpoint)
                self._seen.asked_at_s[endpoint] = now_s

    def _state(
        self, trunk: Trunk, statuses: Mapping[str, tuple[str, Uris]], calls: int
    ) -> TrunkState:
        status, uris = statuses.get(trunk.name, (None, ("", "")))
        last = self._seen.failures.get(uris)
        registration = Registration.NONE
        if trunk.registers:
            registration = registration_of(status, last)
        addresses = tuple(
            self._seen.contacts.get(endpoint, AddressState(address))
            for endpoint, address in _endpoints([trunk]).items()
        )
        return TrunkState(registration, addresses, fault_of(registration, last, addresses), calls)


def _endpoints(trunks: Sequence[Trunk]) -> dict[str, str]:
    """Name the endpoint of every address."""
    return {
        endpoint_of(trunk.id, place): f"{at.host}:{at.port}"
        for trunk in trunks
        for place, at in enumerate(trunk.places, 1)
    }
