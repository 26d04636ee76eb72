"""Takes over the calls of controllers that died, and knows which channels wait for that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from sovereign_ari.control.adopted_call import AdoptedCall
from sovereign_ari.control.call_record import CallRecord, Invitation
from sovereign_ari.control.live_call import LiveCall
from sovereign_ari.control.ports import CallServices
from sovereign_ari.domain.adoption import FoundCall, NotAdopted
from sovereign_ari.domain.call import CONGESTION, CallEvent, CallState, Found, broken
from sovereign_ari.domain.dialplan import (
    AGAIN_EXTENSION,
    ANSWER_CONTEXT,
    INBOUND_CONTEXT,
    JOIN_EXTENSION,
    LATER_EXTENSION,
    TRANSFER_CONTEXT,
    UNKNOWN_EXTENSION,
    VARIABLE_CALL,
    VARIABLE_ENDS_AT,
)
from sovereign_ari.domain.ids import CallId, ChannelId, is_call_id
from sovereign_ari.errors import SovereignError
from sovereign_ari.wire.ari_messages import Channel

STASIS = "Stasis"
UP = "Up"

log = logging.getLogger(__name__)


class Adopter:
    """Takes callers over, one task each.

    Args:
        services: What calls share.
        begin: Takes a call that begins, with its first event.
        free: Whether calls may begin here.
    """

    def __init__(
        self,
        services: CallServices,
        begin: Callable[[LiveCall, CallEvent], None],
        free: Callable[[], bool],
    ) -> None:
        self._services = services
        self._begin = begin
        self._free = free
        self._taking: dict[ChannelId, FoundCall | None] = {}

    async def take(self, channel: ChannelId) -> None:
        """Go on with a caller who is in our application and belongs to no call of ours.

        Whom we may not take waits on; whose call is over hears a goodbye.
        """
        if channel in self._taking:
            return
        self._taking[channel] = None
        try:
            await self._take(channel)
        except SovereignError as error:
            log.warning("could not adopt a call: %s: %s", error.code, error)
            await self._send(channel, LATER_EXTENSION)
        except Exception as fault:  # one call must not end the others
            log.exception("could not adopt a call")
            if (found := self._taking[channel]) is not None:
                self._close(found, channel, f"could not be adopted: {type(fault).__name__}")
            await self._send(channel, UNKNOWN_EXTENSION)
        finally:
            del self._taking[channel]

    async def _take(self, channel: ChannelId) -> None:
        ari, services = self._services.ari, self._services
        call = await ari.channel_variable(channel, VARIABLE_CALL)
        ends_at = await ari.channel_variable(channel, VARIABLE_ENDS_AT)
        if not is_call_id(call) or not ends_at:
            await self._send(channel, UNKNOWN_EXTENSION)
            return
        if not self._free():
            await self._send(channel, LATER_EXTENSION)
            return
        left_s = _seconds(ends_at) - services.wall_clock().timestamp()
        found = await services.adoptions.adopt(CallId(call))
        if found is NotAdopted.LATER:
            await self._send(channel, LATER_EXTENSION)
        elif not isinstance(found, FoundCall):
            await self._send(channel, UNKNOWN_EXTENSION)
        else:
            log.info("adopting %s", call)
            self._taking[channel] = found
            self._begin(AdoptedCall(found, channel, left_s, services), Found())

    async def agreed(self, channel: ChannelId) -> None:
        """Write down a REFER that the caller's side agreed to when nobody lived to hear it."""
        ari, adoptions = self._services.ari, self._services.adoptions
        try:
            call = await ari.channel_variable(channel, VARIABLE_CALL)
            if is_call_id(call):
                await adoptions.transferred(CallId(call))
            await ari.hang_up(channel)
        except SovereignError as error:
            log.warning("could not write down a transfer: %s", error)
            await self._send(channel, LATER_EXTENSION)
        except Exception:  # one call must not end the others
            log.exception("could not write down a transfer")
            await self._send(channel, UNKNOWN_EXTENSION)

    def _close(self, found: FoundCall, channel: ChannelId, why: str) -> None:
        """Close the record of a call that is ours now, and that nobody else will close."""
        invitation = Invitation(channel, found.ours, found.codec, found.theirs)
        record = CallRecord(found.call_id, invitation, self._services)
        record.go_on()
        record.close(broken(CallState.ADOPTING, why), {})

    async def _send(self, channel: ChannelId, extension: str) -> None:
        """Send a caller on; who cannot be sent is hung up, for nobody would mind him."""
        ari = self._services.ari
        try:
            await ari.continue_in_dialplan(channel, ANSWER_CONTEXT, extension)
        except SovereignError as error:
            log.warning("could not send a caller on: %s", error)
            try:
                await ari.hang_up(channel, CONGESTION)
            except SovereignError as fault:
                log.warning("could not hang a channel up: %s", fault)

    async def offer_again(self, channels: Collection[ChannelId]) -> None:
        """Have the dialplan offer calls once more that rang when their controller died."""
        for channel in channels:
            try:
                await self._services.ari.continue_in_dialplan(
                    channel, INBOUND_CONTEXT, AGAIN_EXTENSION
                )
            except SovereignError as error:
                log.warning("could not offer a call again: %s", error)

    async def keep_transferred(self, channels: Sequence[Channel]) -> None:
        """Write down the transfers whose controller died before it could."""
        for channel in channels:
            standing = channel.dialplan
            call = str(channel.channelvars.get(VARIABLE_CALL) or "")
            if (
                is_call_id(call)
                and standing.context == TRANSFER_CONTEXT
                and standing.exten == JOIN_EXTENSION
                and standing.app_name == "Bridge"
            ):
                await self._services.adoptions.transferred(CallId(call))


def orphans(channels: Sequence[Channel], ours: Collection[str]) -> list[ChannelId]:
    """The answered callers who wait in our application, without a call.

    Args:
        channels: All of the PBX.
        ours: Those of our application.
    """
    return [
        ChannelId(each.id)
        for each in channels
        if each.id in ours and waits_for_us(each) and each.dialplan.app_name == STASIS
    ]


def waits_for_us(channel: Channel) -> bool:
    """Whether this is the channel of an answered caller: the dialplan minds it without us."""
    return channel.state == UP and bool(channel.channelvars.get(VARIABLE_CALL))


def ringing(channels: Sequence[Channel], ours: Collection[str]) -> list[ChannelId]:
    """The callers in our application whom nobody has answered, and who have no call."""
    return [
        ChannelId(each.id)
        for each in channels
        if each.id in ours
        and each.state != UP
        and each.dialplan.context == INBOUND_CONTEXT
        and each.dialplan.app_name == STASIS
    ]


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
