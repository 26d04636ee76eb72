"""An Asterisk that only calls: it takes `create`, `dial` and `hang_up`; a test plays the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from sovereign_ari.domain.ids import CallId, call_id
from sovereign_ari.domain.trunk import endpoint_in
from sovereign_ari.errors import AsteriskRefused
from sovereign_ari.telephony.legs import Legs
from sovereign_ari.wire.ari_calling import Outgoing
from sovereign_ari.wire.ari_messages import (
    ApplicationReplaced,
    AriEvent,
    Channel,
    ChannelDestroyed,
    ChannelHangupRequest,
    ChannelStateChange,
    Dial,
    StasisStart,
)

CALL: CallId = call_id("outbound", 0, 0)


class FakeCalling:
    """What `Legs` and `Dialler` need of `AriHttp`; `plans` play whoever is dialled.

    Attributes:
        created: Every channel that was made, in order.
        dialled: Channel to the ringing time that Asterisk was told.
        alive: Channels that are there.
        hung_up: Channel and cause of every hang-up of ours.
        notes: What stands on the timeline.
        refused: Status of the refusal by dial string.
        missing: Endpoints that it does not have.
        enters_after_s: How long a channel that was made takes to be in our application.
    """

    def __init__(self) -> None:
        self.created: list[Outgoing] = []
        self.dialled: dict[str, int] = {}
        self.alive: set[str] = set()
        self.hung_up: list[tuple[str, int]] = []
        self.notes: list[tuple[str, Mapping[str, Any]]] = []
        self.refused: dict[str, int] = {}
        self.missing: set[str] = set()
        self.enters_after_s = 0.0
        self._entered: set[str] = set()
        self.plans: dict[str, Callable[[str], Any]] = {}
        self.legs = Legs(CALL, self)  # type: ignore[arg-type]  # all of it that legs use
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, kind: str, facts: Mapping[str, Any]) -> None:
        self.notes.append((kind, facts))

    async def create_channel(self, outgoing: Outgoing) -> None:
        if endpoint_in(outgoing.endpoint) in self.missing:
            raise AsteriskRefused(500, "Allocation failed")
        if (status := self.refused.get(outgoing.endpoint)) is not None:
            raise AsteriskRefused(status, "Allocation failed")
        if outgoing.channel in self.alive:
            raise AsteriskRefused(409, "Channel with given unique ID already exists")
        self.created.append(outgoing)
        self.alive.add(outgoing.channel)
        self._entered.discard(outgoing.channel)
        if self.enters_after_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self.enters_after_s, self.enter, outgoing.channel)
        else:
            self.enter(outgoing.channel)

    async def has_endpoint(self, name: str) -> bool:
        return name not in self.missing

    async def dial_channel(self, channel: str, ring_s: int) -> None:
        if channel not in self._entered:
            raise AsteriskRefused(409, "Channel not in Stasis application")
        self.dialled[channel] = ring_s
        endpoint = next(o.endpoint for o in reversed(self.created) if o.channel == channel)
        task = asyncio.create_task(self.plans[endpoint](channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hang_up(self, channel: str, cause: int = 16) -> None:
        self.hung_up.append((channel, cause))
        self.alive.discard(channel)

    def tell(self, event: AriEvent) -> None:
        assert not isinstance(event, ApplicationReplaced)
        self.legs.post(event.channel.id, event)

    def enter(self, channel: str) -> None:
        self._entered.add(channel)
        self.tell(StasisStart(type="StasisStart", channel=Channel(id=channel)))

    def ring(self, channel: str) -> None:
        self._state(channel, "Ringing")
        self._dial(channel, "RINGING")

    def progress(self, channel: str) -> None:
        self._dial(channel, "PROGRESS")

    def answer(self, channel: str) -> None:
        self._state(channel, "Up")
        self._dial(channel, "ANSWER")

    def end(self, channel: str, cause: int, sip: int | None = None) -> None:
        self.alive.discard(channel)
        about = Channel(id=channel)
        self.tell(
            ChannelHangupRequest(
                type="ChannelHangupRequest", channel=about, cause=cause, tech_cause=sip
            )
        )
        self.tell(
            ChannelDestroyed(type="ChannelDestroyed", channel=about, cause=cause, tech_cause=sip)
        )

    def _state(self, channel: str, state: str) -> None:
        self.tell(
            ChannelStateChange(type="ChannelStateChange", channel=Channel(id=channel, state=state))
        )

    def _dial(self, channel: str, status: str) -> None:
        self.tell(Dial(type="Dial", peer=Channel(id=channel), dialstatus=status))
