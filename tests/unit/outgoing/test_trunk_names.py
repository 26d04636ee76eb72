"""Names of trunks that resolve, that do not, and that nobody answers for."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network

import pytest

from sovereign_ari.outgoing import trunk_names
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.trunk_names import AT_ONCE, TrunkNames
from sovereign_ari.outgoing.trunks import NOT_RESOLVED, TrunkPlaces

GOOD = ("tenant", "sip.example")
FOUND = frozenset({ip_network("203.0.113.9")})


class Names:
    """Name servers of ours: those of `stalled.*` never answer."""

    def __init__(self) -> None:
        self.there = True
        self.asked: list[str] = []
        self.release = asyncio.Event()

    async def look_up(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        if host.startswith("stalled"):
            await self.release.wait()
        if not self.there:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return ["203.0.113.9"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk_names, "RESOLVED_WITHIN_S", 0.1)


@pytest.mark.parametrize("found", [[], ["10.6.0.1"], ["203.0.113.9", "10.6.0.1"]])
def test_a_name_leads_nowhere_unless_all_its_addresses_are_known_and_public(
    found: list[str],
) -> None:
    fault = TrunkPlaces(OutgoingPolicy()).fault_of_name("sip.example", found)
    assert fault is not None
    assert (NOT_RESOLVED in fault) is (not found)
    assert "10.6.0.1" not in fault
    assert TrunkPlaces(OutgoingPolicy()).fault_of_name("sip.example", ["203.0.113.9"]) is None


async def test_a_name_without_an_answer_now_keeps_what_it_last_had_apart() -> None:
    names = Names()
    known = TrunkNames(names.look_up)
    network = ("tenant", "198.51.100.0/24")
    await known.look_up([GOOD, network])
    assert known.now(GOOD) == known.last(GOOD) == FOUND
    assert known.now(network) == {ip_network("198.51.100.0/24")}
    names.there = False
    await known.look_up([GOOD])
    assert (known.now(GOOD), known.last(GOOD)) == (frozenset(), FOUND)
    await known.look_up([])
    assert known.last(GOOD) == frozenset(), "nobody asks any more"


async def test_names_that_nobody_answers_for_hold_up_neither_others_nor_later_rounds() -> None:
    names = Names()
    known = TrunkNames(names.look_up)
    stalled = [("guest", f"stalled{number}.example") for number in range(3 * AT_ONCE)]
    await known.look_up([*stalled, GOOD])
    assert known.now(GOOD) == FOUND
    assert all(known.now(one) == frozenset() for one in stalled)
    await known.look_up([*stalled, GOOD])
    assert known.now(GOOD) == FOUND
    assert names.asked.count("sip.example") == 2
    assert len(names.asked) == AT_ONCE + 2, "no more of them is asked while there is no answer"
    names.release.set()
    async with asyncio.timeout(5):
        while not all(known.now(one) == FOUND for one in stalled):
            await known.look_up([*stalled, GOOD])
