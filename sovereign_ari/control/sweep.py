"""Compares our calls with what Asterisk has: events get lost, requests fail, processes die."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sovereign_ari.control.adoption import Adopter, orphans, ringing, waits_for_us
from sovereign_ari.control.live_call import LiveCall
from sovereign_ari.control.ports import CallServices
from sovereign_ari.control.transfers import LEG as SECOND_LEG
from sovereign_ari.domain.call import CONGESTION, CallEvent, Failed, HungUp
from sovereign_ari.domain.dialplan import TRANSFER_CONTEXT
from sovereign_ari.domain.ids import CallId, ChannelId, call_of, leg_name, media_channel_of
from sovereign_ari.errors import SovereignError
from sovereign_ari.telephony.silence import forget_end
from sovereign_ari.wire.ari_messages import Channel

SWEEP_S = 15.0
GRACE_S = 2.0  # a channel may be listed before the event that it entered has come
GONE = 31  # Q.850: normal, unspecified; Asterisk does not say why a channel vanished
MEDIA_LOST = "Asterisk lost the media leg"
PBX_RESTARTED = "Asterisk was restarted"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Left:
    """What our application has that belongs to no call of ours."""

    channels: dict[str, Channel | None]
    bridges: set[str]


class Sweep:
    """Looks after each connect, and now and then.

    Args:
        services: What calls share.
        calls: All of ours.
        adopter: Takes callers over whose controller died.
        tell: Tells a call something.

    Attributes:
        connected: To be set after each connect.
    """

    def __init__(
        self,
        services: CallServices,
        calls: Mapping[CallId, LiveCall],
        adopter: Adopter,
        tell: Callable[[LiveCall, CallEvent], None],
    ) -> None:
        self._services = services
        self._calls = calls
        self._adopter = adopter
        self._tell = tell
        self._began: str | None = None
        self._ended: list[CallId] = []
        self.connected = asyncio.Event()

    def over(self, call: CallId) -> None:
        """Note that a call is over: the PBX may forget how it ended."""
        self._ended.append(call)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self.connected.wait()
            except TimeoutError:
                pass
            anew = self.connected.is_set()
            self.connected.clear()
            try:
                await self._look(anew=anew)
            except SovereignError as error:
                log.warning("could not compare our calls with Asterisk's: %s", error)

    async def _look(self, *, anew: bool) -> None:
        ended, self._ended = self._ended, []
        second = [
            call
            for channel in await self._end_lost_calls()
            if leg_name(channel) == SECOND_LEG and (call := call_of(channel))
        ]
        left = await self._left_over()
        if anew:
            await self._adopt(left)
            await self._adopter.keep_transferred(await self._services.ari.channels())
        for call in ended:
            await forget_end(self._services.ari, call)
        if left.channels or left.bridges:
            await asyncio.sleep(GRACE_S)
            now = await self._left_over()
            channels = {id_: now.channels[id_] for id_ in left.channels.keys() & now.channels}
            await self._remove(_Left(channels, left.bridges & now.bridges))
        await self._services.transfer_places.keep(second)

    async def _end_lost_calls(self) -> set[str]:
        """End the calls that lost a leg without a word; gives the channels of the PBX."""
        listed = [(call, call.has_line, call.is_talking) for call in self._calls.values()]
        legs = [leg for call in self._calls.values() for leg in call.legs.entered]
        began = await self._services.ari.started_at()
        channels = {channel.id for channel in await self._services.ari.channels()}
        restarted = self._began not in (None, began)
        self._began = began
        for call, has_line, talking in listed:
            line, media = call.channel in channels, media_channel_of(call.id) in channels
            if restarted and not (line or media):  # whatever it was about to do
                self._tell(call, Failed(PBX_RESTARTED))
            elif has_line and not line:
                self._tell(call, HungUp(GONE))
            elif talking and not media:
                self._tell(call, Failed(MEDIA_LOST))
        for leg in legs:
            if leg.channel not in channels:
                leg.lost()
        return channels

    async def _left_over(self) -> _Left:
        """Find the channels and bridges of our application that belong to no call of ours.

        Other controllers may share this Asterisk: what is named like a call is not ours for that,
        nor is what we asked to hear of in our last life, when another one has it by now. Whom we
        have joined with somebody else is nobody's any more, and an answered caller who is in the
        dialplan is minded there.
        """
        ari, app = self._services.ari, self._services.app
        application = await ari.application()
        ours = set(application.channel_ids if application else ())
        listed = {channel.id: channel for channel in await ari.channels()}
        minded = {str(call.channel) for call in self._calls.values()} | {
            id_
            for id_, channel in listed.items()
            if channel.dialplan.context == TRANSFER_CONTEXT
            or channel.dialplan.stasis not in (None, app)
            or (waits_for_us(channel) and not orphans([channel], ours))
        }
        bridges = [bridge.id for bridge in await ari.bridges() if bridge.name == app]
        return _Left(
            {
                id_: listed.get(id_)
                for id_ in ours
                if id_ not in minded and call_of(id_) not in self._calls
            },
            {bridge for bridge in bridges if call_of(bridge) not in self._calls},
        )

    async def _adopt(self, left: _Left) -> None:
        """Go on with the callers of our last life, all at once."""
        waiting = orphans([each for each in left.channels.values() if each], left.channels)
        await asyncio.gather(*map(self._adopter.take, waiting))

    async def _remove(self, left: _Left) -> None:
        listed = [each for each in left.channels.values() if each]
        kept = orphans(listed, left.channels)
        again = ringing(listed, left.channels)
        await self._adopter.offer_again(again)
        await asyncio.gather(*map(self._adopter.take, kept))
        for channel in left.channels.keys() - set(kept) - set(again):
            log.warning("giving up a channel that no call owns")
            if call_of(channel) is None:
                await self._adopter.take(ChannelId(channel))
            else:
                await self._hang_up(ChannelId(channel))
        for bridge in left.bridges:
            try:
                await self._services.ari.destroy_bridge(bridge)
            except SovereignError as error:
                log.warning("could not remove a bridge: %s", error)

    async def _hang_up(self, channel: ChannelId) -> None:
        try:
            await self._services.ari.hang_up(channel, CONGESTION)
        except SovereignError as error:
            log.warning("could not hang a channel up: %s", error)
