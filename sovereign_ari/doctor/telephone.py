"""A telephone inside the PBX, made of ARI only: it dials the dialplan as a trunk would.

    our UDP socket <--RTP--> external media --+-- bridge --+-- Local;1 ~~ Local;2 --> dialplan

`/n` keeps the two halves of the Local channel: optimised away, the call would not pass what is
tested. Everything has a name of ours from before it is made, so all of it can be removed
whatever happened. If we are killed, the PBX ends both channels after `LIMIT_S`, and the next
doctor removes the empty bridge.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from sovereign_ari.doctor.hearing import Hearing
from sovereign_ari.errors import AsteriskUnavailable, SovereignError
from sovereign_ari.media.pcm import FRAME_S, ULAW_8K
from sovereign_ari.wire.ari_events import AriEvents
from sovereign_ari.wire.ari_http import AriAddress, AriHttp, Origination
from sovereign_ari.wire.ari_messages import AriEvent, ChannelDestroyed, StasisStart
from sovereign_ari.wire.media_leg import MediaLeg
from sovereign_ari.wire.pacer import Pacer
from sovereign_ari.wire.rtp_socket import RtpSocket

ENTRY = "sovereign-inbound"
"""The dialplan context that every call passes."""

PREFIX = "sovereign-doctor-"
READY_WITHIN_S = 6.0
RING_S = 20
LIMIT_S = 150
_CLEAN_WITHIN_S = 6.0
_LOOK_AGAIN_S = 0.1


class Telephone:
    """One call of the doctor. Made by `open_telephone`.

    Args:
        ari: Requests, in the application `name`.
        pacer: A running clock for what we say.
        name: Beginning of the name of everything that is made.
        rtp: Where its audio comes in, and leaves.
    """

    def __init__(self, ari: AriHttp, pacer: Pacer, name: str, rtp: RtpSocket) -> None:
        self.hearing = Hearing()
        self.caller = f"+999{secrets.randbelow(10**11):011}"  # finds the record of this call again
        self.connected = asyncio.Event()
        self.answered_s: float | None = None
        self.ended_cause: int | None = None
        self._ari = ari
        self._channel, self._media, self._bridge = (
            f"{name}-{part}" for part in ("call", "media", "bridge")
        )
        self._media_entered = asyncio.Event()
        self._pacer = pacer
        self.leg = MediaLeg(ULAW_8K, rtp, secrets.randbits(80), time.monotonic, self.hearing.hear)

    async def prepare(self) -> None:
        """Make our side: the media leg, in a bridge."""
        peer = await self._ari.open_external_media(
            self._media, to=self.leg.local, audio=ULAW_8K, argument="media"
        )
        await _soon(self._media_entered, "the media leg of the doctor does not start")
        await self._ari.set_variables(self._media, {"TIMEOUT(absolute)": str(LIMIT_S)})
        await self._ari.create_bridge(self._bridge)
        await self._ari.add_to_bridge(self._bridge, self._media)
        self.leg.connect(peer, self._pacer, self._channel)

    async def dial(self, number: str) -> None:
        """Call a number; `answered_s` or `ended_cause` tell what came of it."""
        await self._ari.originate(
            Origination(
                channel=self._channel,
                endpoint=f"Local/{number}@{ENTRY}/n",
                audio=ULAW_8K,  # left out, the dialplan would see no codec of a telephone
                caller=self.caller,
                argument="call",
                ring_s=RING_S,
            )
        )

    async def join(self) -> None:
        """Connect the answered call with our media."""
        await self._ari.add_to_bridge(self._bridge, self._channel)
        await self._ari.set_variables(self._channel, {"TIMEOUT(absolute)": str(LIMIT_S)})

    async def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Let time pass until something holds or the call ends; return whether it holds."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            now_s = time.monotonic()
            if self.ended_cause is not None or now_s > deadline_s:
                return False
            self.leg.poll(now_s)
            await asyncio.sleep(FRAME_S / 4)
        return True

    async def say(self, ulaw: bytes) -> float | None:
        """Speak; returns when the last of it left, None when the call ended before."""
        self.leg.begin()
        self.leg.put(ulaw)
        self.leg.end()
        spoken = await self.until(
            lambda: self.leg.sent_bytes >= len(ulaw), len(ulaw) / ULAW_8K.rate_hz + 2
        )
        return self.leg.last_sent_s if spoken else None

    def post(self, event: AriEvent) -> None:
        """Take what Asterisk says about our channels."""
        match event:
            case StasisStart(channel=channel) if channel.id == self._channel:
                self.answered_s = time.monotonic()
            case StasisStart(channel=channel) if channel.id == self._media:
                self._media_entered.set()
            case ChannelDestroyed(channel=channel, cause=cause) if channel.id == self._channel:
                self.ended_cause = cause
            case _:
                pass

    async def put_away(self) -> None:
        """Remove everything of ours, made or still being made, and look whether it is gone."""
        self._pacer.remove(self._channel)
        with suppress(SovereignError, TimeoutError):
            async with asyncio.timeout(_CLEAN_WITHIN_S):
                await self._remove_all()
        self.leg.close()

    async def _remove_all(self) -> None:
        ours = {self._channel, self._media, self._bridge}
        while ours:
            for channel in (self._channel, self._media):
                await self._ari.hang_up(channel)
            await self._ari.destroy_bridge(self._bridge)
            await asyncio.sleep(_LOOK_AGAIN_S)  # a request that we gave up may still be served
            there = {channel.id for channel in await self._ari.channels()}
            there |= {bridge.id for bridge in await self._ari.bridges()}
            ours &= there


@asynccontextmanager
async def open_telephone(
    url: str, username: str, password: str, media_address: str
) -> AsyncIterator[Telephone]:
    """Connect to ARI as an application of our own, and leave nothing behind.

    Raises:
        SovereignError: When ARI cannot be used.
    """
    name = f"{PREFIX}{secrets.token_hex(4)}"
    address = AriAddress(url, username, password, name)
    async with AriHttp(address) as ari:
        await _sweep(ari)
        rtp = RtpSocket(media_address)
        rtp.open()
        pacer = Pacer(rtp.fileno())
        telephone = Telephone(ari, pacer, name, rtp)

        async def connected() -> None:
            telephone.connected.set()

        events = AriEvents(address, post=telephone.post, connected=connected)
        reading = asyncio.create_task(events.run(), name="doctor events")
        pacer.start()
        try:
            await _soon(telephone.connected, "the event socket of ARI does not open")
            yield telephone
        finally:
            await telephone.put_away()
            pacer.stop()
            rtp.close()
            reading.cancel()
            await asyncio.wait((reading,))


async def _sweep(ari: AriHttp) -> None:
    """Remove the bridge of a doctor that was killed; ARI bridges never end by themselves."""
    for bridge in await ari.bridges():
        if bridge.id.startswith(PREFIX) and not bridge.channels:
            await ari.destroy_bridge(bridge.id)


async def _soon(event: asyncio.Event, fault: str) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await event.wait()
    except TimeoutError:
        raise AsteriskUnavailable(f"{fault} within {READY_WITHIN_S:g} s") from None
