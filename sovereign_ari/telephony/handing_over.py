"""Hands a caller to somebody else, in the PBX alone: what is joined lives on without us.

Both channels leave our application for the dialplan, where one waits and the other joins it with
`Bridge()`. So each side's hang-up ends the other, and the longest call ends by the caller's own
timer, with or without a controller. What goes wrong sends the caller back to us, as does a REFER
that was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sovereign_ari.domain.dialplan import (
    JOIN_EXTENSION,
    REFER_CONTEXT,
    REFER_EXTENSION,
    TRANSFER_CONTEXT,
    VARIABLE_PEER,
    VARIABLE_REFER_TO,
    WAIT_EXTENSION,
)
from sovereign_ari.domain.ids import ChannelId
from sovereign_ari.errors import AsteriskUnknown, SovereignError
from sovereign_ari.telephony.legs import Leg
from sovereign_ari.wire.ari_http import AriHttp

JOINED_WITHIN_S = 3.0
LOOK_S = 0.02
BACK_MARGIN_S = 5.0


class HandOver:
    """Hands one caller over, one attempt at a time.

    Args:
        ari: Requests to Asterisk.
        caller: The caller's channel.
    """

    def __init__(self, ari: AriHttp, caller: ChannelId) -> None:
        self._ari = ari
        self._caller = caller
        self._back: asyncio.Future[Sequence[str]] | None = None

    def came_back(self, told: Sequence[str]) -> bool:
        """Note that the dialplan gave the caller back, with what it says; False if unexpected."""
        if self._back is None or self._back.done():
            return False
        self._back.set_result(told)
        return True

    async def join(self, leg: Leg) -> bool:
        """Join the caller with a leg that is up; False when the caller came back instead.

        Raises:
            AsteriskRefused: If the leg or the caller is gone; the caller has not left us then.
            AsteriskUnavailable: Likewise.
            AsteriskUnknown: If it is not known where the caller is.
        """
        name = await self._ari.channel_name(leg.channel)
        await self._ari.continue_in_dialplan(leg.channel, TRANSFER_CONTEXT, WAIT_EXTENSION)
        await self._ari.set_variables(self._caller, {VARIABLE_PEER: name})
        back = self._back = asyncio.get_running_loop().create_future()
        await self._ari.continue_in_dialplan(self._caller, TRANSFER_CONTEXT, JOIN_EXTENSION)
        both = {self._caller, leg.channel}
        try:
            async with asyncio.timeout(JOINED_WITHIN_S):
                while not back.done():
                    if any(both <= set(bridge.channels) for bridge in await self._ari.bridges()):
                        return True
                    await asyncio.wait((back,), timeout=LOOK_S)
        except (TimeoutError, SovereignError) as error:
            raise AsteriskUnknown("it is not known where the caller is") from error
        return False

    async def refer(
        self, uri: str, headers: Mapping[str, str], within_s: float
    ) -> tuple[str, str]:
        """Ask the caller's side to call somebody else; returns status and SIP code of its answer.

        Does not return when the caller's side hangs up, as many do at once when they agree.

        Args:
            uri: Whom to call.
            headers: Variables of the channel that become headers of the REFER.
            within_s: The PBX gives up then.

        Raises:
            AsteriskUnknown: If the PBX does not give the caller back either.
        """
        await self._ari.set_variables(self._caller, {**headers, VARIABLE_REFER_TO: uri})
        back = self._back = asyncio.get_running_loop().create_future()
        await self._ari.continue_in_dialplan(self._caller, REFER_CONTEXT, REFER_EXTENSION)
        try:
            async with asyncio.timeout(within_s + BACK_MARGIN_S):
                told = [*(await back), "", ""]
        except TimeoutError:
            raise AsteriskUnknown("the caller did not come back from a REFER") from None
        return told[0], told[1]
