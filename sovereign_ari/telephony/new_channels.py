"""Makes a channel to call somebody with, and waits for what is about to be there.

Two things pass by themselves: the channel of the address before, which the PBX is still taking
down, and an endpoint of a trunk that was just made, or is being made anew after a change.
"""

from __future__ import annotations

import asyncio
from typing import Final

from sovereign_ari.domain.trunk import endpoint_in, trunk_of
from sovereign_ari.errors import AsteriskRefused
from sovereign_ari.wire.ari_calling import Outgoing
from sovereign_ari.wire.ari_http import AriHttp

STILL_THERE_PAUSES_S: Final = (0.02, 0.05, 0.1, 0.3)
ENDPOINT_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5)
"""In all as long as a trunk may take from its making until it works: two seconds."""

_EXISTS = 409


class NoSuchEndpoint(AsteriskRefused):
    """The PBX does not have the endpoint of a trunk, and did not get it in time."""


async def make_channel(ari: AriHttp, outgoing: Outgoing) -> None:
    """Make a channel that can be dialled.

    Raises:
        NoSuchEndpoint: If it is a trunk's that the PBX does not have.
        AsteriskRefused: If the PBX does not take it.
    """
    old, missing = iter(STILL_THERE_PAUSES_S), iter(ENDPOINT_PAUSES_S)
    while True:
        try:
            return await ari.create_channel(outgoing)
        except AsteriskRefused as refused:
            if refused.status == _EXISTS:
                pause_s = next(old, None)
            elif await _is_missing(ari, outgoing.endpoint):
                pause_s = next(missing, None)
                if pause_s is None:
                    raise NoSuchEndpoint(refused.status, str(refused)) from refused
            else:
                raise
            if pause_s is None:
                raise
        await asyncio.sleep(pause_s)


async def _is_missing(ari: AriHttp, dialled: str) -> bool:
    """Whether it is a trunk's endpoint that the PBX does not have."""
    endpoint = endpoint_in(dialled)
    return trunk_of(endpoint) is not None and not await ari.has_endpoint(endpoint)
