"""Where SIP trunks of tenants may lead to.

The operator's own trunks lead anywhere: a PBX in the same rack, a gateway in the office. Those of
other organisations lead to public addresses, and to what the operator allows: else a tenant could
find out by `reachable` what answers in the operator's network.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final

from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.urls import Target, read_address

MAY_BE_ALLOWED: Final = "the operator can allow its network with SOVEREIGN_OUTGOING_ALLOW"

NOT_RESOLVED: Final = "was not resolved: no name server gave its addresses in time"

_NOBODYS = tuple(
    ip_network(text)
    for text in (
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        "3fff::/20",
    )
)
"""For examples (RFC 5737, 3849, 9637): they stand for public addresses, and nothing is there."""


class TrunkPlaces:
    """Decides where trunks of others than the operator may lead to.

    Args:
        policy: What the operator allows.
    """

    def __init__(self, policy: OutgoingPolicy) -> None:
        self._policy = policy

    def fault(self, host: str) -> str | None:
        """Say why they may not lead to a host, without looking its name up.

        Args:
            host: A name or an address; IPv6 may stand in brackets.
        """
        bare = host.strip("[]")
        fault = self._policy.fault_of(Target("http", bare, 80, "/"))
        return f"{fault}; {MAY_BE_ALLOWED}" if fault and not _is_nobodys(bare) else None

    def fault_of_name(self, name: str, addresses: Iterable[str]) -> str | None:
        """Say the same of a name that was looked up; what was found is not betrayed.

        The PBX looks it up by itself: when we found nothing, nobody knows where it would lead to.
        """
        found = list(addresses)
        if not found:
            return f"{name} {NOT_RESOLVED}"
        if all(self._policy.admits(address) or _is_nobodys(address) for address in found):
            return None
        return f"{name} has no public address; {MAY_BE_ALLOWED}"


def _is_nobodys(address: str) -> bool:
    found = read_address(address)
    return found is not None and any(found in network for network in _NOBODYS)
