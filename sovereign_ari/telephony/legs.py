"""Further channels of a call: a transfer's second leg, the person whom we call, a listener.

A leg is registered under its name before any request names it, because Asterisk's events may come
before its answers. Each begins with its `StasisStart`: what comes before that is of an older
channel of the same name. Each is hung up when whoever opened it leaves it, and the last when the
call ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

from sovereign_ari.domain.call import NORMAL_CLEARING
from sovereign_ari.domain.ids import CallId, ChannelId, leg_of
from sovereign_ari.errors import SovereignError
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.ari_messages import (
    AriEvent,
    ChannelDestroyed,
    ChannelHangupRequest,
    StasisStart,
)

MOST_WAITING = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LegGone:
    """The channel is gone, or going. The last event of a leg.

    Attributes:
        cause: Q.850; 0 when unknown.
        tech_cause: SIP status that ended it, if one did.
    """

    cause: int
    tech_cause: int | None = None


LegEvent: TypeAlias = AriEvent | LegGone


class Leg:
    """One further channel of a call. Leaving it as a context manager hangs it up.

    Args:
        legs: Those of the call.
        channel: Its id.

    Attributes:
        channel: Its id.
        gone: How it ended; None while it may be there.
        entered: Set as soon as it is there; stays so.
    """

    def __init__(self, legs: Legs, channel: ChannelId) -> None:
        self.channel = channel
        self.gone: LegGone | None = None
        self.entered = asyncio.Event()
        self._legs = legs
        self._events: deque[LegEvent] = deque()
        self._news = asyncio.Event()

    async def event(self) -> LegEvent:
        """Wait for the next event. After `LegGone`, that again."""
        while not self._events:
            if self.gone is not None:
                return self.gone
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()

    def post(self, event: AriEvent) -> None:
        """Deliver an event of Asterisk. Never waits; beyond `MOST_WAITING` it is dropped."""
        if isinstance(event, StasisStart):
            self.entered.set()
        if self.gone is not None or not self.entered.is_set():
            return
        match event:
            case ChannelHangupRequest(cause=None | 0, tech_cause=None):
                return  # that it goes; why is told when it has gone
            case (
                ChannelHangupRequest(cause=cause, tech_cause=tech_cause)
                | ChannelDestroyed(cause=cause, tech_cause=tech_cause)
            ):
                self.gone = LegGone(cause or 0, tech_cause)
            case _ if len(self._events) >= MOST_WAITING:
                log.warning("%s does not keep up with its events", self.channel)
                return
            case _:
                self._events.append(event)
        self._news.set()

    def lost(self) -> None:
        """Take the channel for gone, because Asterisk does not list it any more."""
        if self.gone is None:
            self.gone = LegGone(0)
            self._news.set()

    def release(self) -> None:
        """Let go of the channel without a hang-up: somebody else takes its events from now on."""
        self._legs.forget(self)

    async def close(self, cause: int = NORMAL_CLEARING) -> None:
        """Hang it up, whatever state it is in, and forget it. Gone already is fine."""
        try:
            if self.gone is None:
                await self._legs.hang_up(self.channel, cause)
        finally:
            self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class Legs:
    """The further channels of one call.

    Args:
        call: The call.
        ari: Requests to Asterisk.
    """

    def __init__(self, call: CallId, ari: AriHttp) -> None:
        self._call = call
        self._ari = ari
        self._open: dict[ChannelId, Leg] = {}

    def open(self, name: str) -> Leg:
        """Register a further channel, before any request names it.

        Raises:
            ValueError: If there is one of this name.
        """
        channel = leg_of(self._call, name)
        if channel in self._open:
            raise ValueError(f"{channel} is open already")
        leg = self._open[channel] = Leg(self, channel)
        return leg

    def post(self, channel: str, event: AriEvent) -> bool:
        """Deliver an event of Asterisk; False when the channel is no open leg. Never waits."""
        if (leg := self._open.get(ChannelId(channel))) is None:
            return False
        leg.post(event)
        return True

    @property
    def entered(self) -> list[Leg]:
        """The legs that have entered our application."""
        return [leg for leg in self._open.values() if leg.entered.is_set()]

    def forget(self, leg: Leg) -> None:
        """Deliver no more events to this leg."""
        if self._open.get(leg.channel) is leg:
            del self._open[leg.channel]

    async def hang_up(self, channel: ChannelId, cause: int) -> None:
        """Hang a channel up. What cannot be removed now the controller's sweep finds."""
        try:
            await self._ari.hang_up(channel, cause)
        except SovereignError as error:
            log.warning("could not hang a leg up: %s", error)

    async def close(self) -> None:
        """Hang up what is open: the call ends."""
        await asyncio.gather(*(leg.close() for leg in list(self._open.values())))
