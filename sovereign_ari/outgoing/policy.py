"""Where requests that strangers configure may go: public addresses, and what the operator allows.

Names are resolved again when the connection is made, and `admits` decides on the very address
that is connected to; `fault` is the earlier, friendlier check when a URL is saved.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

from sovereign_ari.domain.public_hosts import connected_to, is_local_name, is_public_address
from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.names import LookUp, look_up
from sovereign_ari.outgoing.urls import Address, Target, UrlFault, read_address, read_target

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOK_UP_TIMEOUT_S = 5.0


class OutgoingPolicy:
    """Decides where outgoing requests may connect to.

    Args:
        allowed: Networks that are allowed although they are not public.
        names: Looks names up.
    """

    def __init__(self, allowed: Sequence[Network] = (), names: LookUp = look_up) -> None:
        self._allowed = tuple(allowed)
        self._names = names

    def admits(self, address: str) -> bool:
        """Whether a connection to this IP address may be made; what is none may not."""
        found = _read(address)
        return self.allows(address) or (found is not None and is_public_address(found))

    def allows(self, address: str) -> bool:
        """Whether the operator named this address, public or not."""
        wanted = _read(address)
        return wanted is not None and any(
            wanted.version == net.version and wanted in net for net in self._allowed
        )

    def fault(self, url: str) -> str | None:
        """Say what is wrong with a URL that is to be saved, without looking its name up."""
        try:
            return self.fault_of(read_target(url))
        except UrlFault as fault:
            return str(fault)

    def fault_of(self, target: Target) -> str | None:
        """Say the same of a URL that was read."""
        host = target.host
        if target.address is not None:
            return None if self.admits(host) else f"{host} is not a public address"
        if is_local_name(host):
            return None if self._allowed else f"{host} is not a public host"
        return None

    async def addresses(self, host: str, port: int, *, allowed_only: bool = False) -> list[str]:
        """Look a host up and keep the addresses that may be connected to, at least one.

        Args:
            host: A name or an address, as `Target.host` has it.
            port: Where the connection is to go.
            allowed_only: Keep only what the operator allows.

        Raises:
            OutgoingFailed: If there are none, or the answer took more than `LOOK_UP_TIMEOUT_S`.
        """
        may_reach = self.allows if allowed_only else self.admits
        found = [host] if read_address(host) is not None else await self._look_up(host, port)
        admitted = [address for address in found if may_reach(address)]
        if not admitted:
            what = "address that the operator allows" if allowed_only else "public address"
            raise OutgoingFailed(f"{host} has no {what}")
        return admitted

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        try:
            async with asyncio.timeout(LOOK_UP_TIMEOUT_S):
                return await self._names(host, port)
        except TimeoutError:
            raise OutgoingFailed(
                f"{host} could not be looked up within {LOOK_UP_TIMEOUT_S:g} s"
            ) from None
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise OutgoingFailed(f"there is no host {host}") from error
            raise OutgoingFailed(f"{host} could not be looked up") from error
        except OSError as error:
            raise OutgoingFailed(f"{host} could not be looked up") from error


def _read(address: str) -> Address | None:
    """Read what is connected to."""
    found = read_address(address.partition("%")[0])
    return None if found is None else connected_to(found)
