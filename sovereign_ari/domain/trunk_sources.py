"""Where the calls of trunks come from, and which trunks share a source.

The PBX knows one endpoint for each address. Carriers serve many customers from the same addresses,
so trunks whose networks overlap become one group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network

_THIS_MACHINE = (IPv4Address("127.0.0.1"), IPv6Address("::1"))  # programs here need no trunk


@dataclass(frozen=True, slots=True)
class Source:
    """Networks that belong together, and the trunks whose calls come from there, by their ids."""

    owners: tuple[str, ...]
    networks: tuple[Network, ...]

    @property
    def fingerprint(self) -> str:
        """Sixteen digits that stay the same while the networks do, whoever shares them."""
        text = ",".join(map(str, self.networks))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def sources_of(networks: Mapping[str, Iterable[Network]]) -> list[Source]:
    """Group trunks by the networks that their calls come from; those that overlap are together.

    What holds this machine's own address is left out.

    Args:
        networks: Of each trunk, by its id.
    """
    claims = [
        (network, owner)
        for owner, claimed in networks.items()
        for network in claimed
        if not any(address in network for address in _THIS_MACHINE)
    ]
    claims.sort(key=lambda claim: (*_order(claim[0]), claim[1]))
    head: dict[str, str] = {owner: owner for _, owner in claims}
    last: Network | None = None
    last_owner = ""
    for network, owner in claims:
        if last is not None and last.version == network.version and _inside(network, last):
            head[_root(head, owner)] = _root(head, last_owner)
        else:
            last, last_owner = network, owner
    groups: dict[str, tuple[set[str], set[Network]]] = {}
    for network, owner in claims:
        owners, members = groups.setdefault(_root(head, owner), (set(), set()))
        owners.add(owner)
        members.add(network)
    return [Source(tuple(sorted(owners)), in_order(found)) for owners, found in groups.values()]


def in_order(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Sort networks, IPv4 first."""
    return tuple(sorted(networks, key=_order))


def _order(network: Network) -> tuple[int, int, int]:
    """Sort a network before all that lie in it."""
    return network.version, int(network.network_address), network.prefixlen


def _inside(network: Network, other: Network) -> bool:
    """Whether a network lies in one that begins no later; two either nest or are apart."""
    return int(network.network_address) <= int(other.broadcast_address)


def _root(head: dict[str, str], owner: str) -> str:
    while head[owner] != owner:
        head[owner] = owner = head[head[owner]]
    return owner
