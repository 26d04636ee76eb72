"""TALK_DETECT of a real Asterisk, on legs of its own that are played part of the labelled set."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.media.rtp import RtpStream
from sovereign_ari.telephony.silence import TALK_LEVEL
from sovereign_ari.wire.ari_events import AriEvents
from sovereign_ari.wire.ari_http import AriAddress, AriHttp
from sovereign_ari.wire.ari_messages import AriEvent, ChannelTalkingStarted, StasisStart
from tests.bench.turns_detectors import TalkDetect
from tests.support.labelled_set import Item
from tests.support.platform import running_platform

APP = "bench-turns"
SILENCE_MS = 200
FRAME_S = 0.02
LEAD_FRAMES = 50
OF_A_KIND = 3
KINDS = (
    "turn, digital silence",
    "turn, car -30",
    "car",
    "clicks",
    "coughs",
    "DTMF",
    "music on hold",
)


@dataclass
class Leg:
    """An item on its way through the PBX."""

    item: Item
    name: str
    socket: socket.socket
    stream: RtpStream = field(default_factory=lambda: RtpStream(0, 0, 0, 1))
    peer: tuple[str, int] = ("", 0)
    begun_s: float = 0.0
    started_s: list[float] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def emulated_s(self) -> list[float]:
        """When talking starts by the emulation, with the PBX's silence between."""
        detector, found, quiet_ms = TalkDetect(), [], SILENCE_MS
        for number, (pcm, _) in enumerate(self.item.frames(), 1):
            if detector.is_speech(pcm):
                if quiet_ms >= SILENCE_MS:
                    found.append(number * FRAME_S)
                quiet_ms = 0
            else:
                quiet_ms += 20
        return found


async def compare_with_pbx(items: Sequence[Item]) -> dict[str, object]:
    """Play some items to a real PBX, all at once, and say what it made of them."""
    password = secrets.token_hex(8)
    legs = [_leg(number, item) for number, item in enumerate(_chosen(items))]
    by_name = {leg.name: leg for leg in legs}

    def note(event: AriEvent) -> None:
        if isinstance(event, StasisStart) and (leg := by_name.get(event.channel.id)):
            leg.entered.set()
        if isinstance(event, ChannelTalkingStarted) and (leg := by_name.get(event.channel.id)):
            leg.started_s.append(time.monotonic() - leg.begun_s)

    async with running_platform({"SOVEREIGN_ARI_PASSWORD": password}) as platform:
        address = AriAddress(platform.ready["ari_url"], "sovereign", password, APP)
        connected = asyncio.Event()
        events = AriEvents(address, post=note, connected=_setting(connected))
        reading = asyncio.create_task(events.run())
        async with AriHttp(address) as ari:
            await asyncio.wait_for(connected.wait(), 10)
            for leg in legs:
                await _open(ari, leg)
            await _play(legs)
            for leg in legs:
                await ari.hang_up(leg.name)
        reading.cancel()
        await asyncio.wait([reading])
    for leg in legs:
        leg.socket.close()
    return _compared(legs)


def _chosen(items: Sequence[Item]) -> list[Item]:
    by_kind: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.law == "ulaw":
            by_kind[item.kind].append(item)
    return [item for kind in KINDS for item in by_kind[kind][:OF_A_KIND]]


def _leg(number: int, item: Item) -> Leg:
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.bind(("127.0.0.1", 0))
    ours.setblocking(False)
    return Leg(item, f"bench-turns-{number}", ours)


def _setting(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def connected() -> None:
        event.set()

    return connected


async def _open(ari: AriHttp, leg: Leg) -> None:
    host, port = leg.socket.getsockname()
    leg.peer = await ari.open_external_media(
        leg.name, to=(host, port), audio=ULAW_8K, argument="bench"
    )
    await asyncio.wait_for(leg.entered.wait(), 10)
    await ari.set_variables(leg.name, {"TALK_DETECT(set)": f"{SILENCE_MS},{TALK_LEVEL}"})


async def _play(legs: Sequence[Leg]) -> None:
    """Send a second of silence, then the items, a frame each 20 ms."""
    longest = max(len(leg.item.pcm) // 320 for leg in legs)
    begun_s = time.monotonic()
    for number in range(longest + LEAD_FRAMES):
        await asyncio.sleep(max(0.0, begun_s + number * FRAME_S - time.monotonic()))
        for leg in legs:
            at = (number - LEAD_FRAMES) * 320
            pcm = leg.item.pcm[at : at + 320] if at >= 0 else b""
            # A frame's last sample exists 20 ms after its first.
            leg.begun_s = leg.begun_s or begun_s + (LEAD_FRAMES - 1) * FRAME_S
            leg.socket.sendto(leg.stream.next(pcm_to_ulaw(pcm or bytes(320))), leg.peer)
    await asyncio.sleep(0.2)


def _compared(legs: Sequence[Leg]) -> dict[str, object]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    late_ms = []
    for leg in legs:
        emulated = leg.emulated_s
        counts[leg.item.kind][0] += len(leg.started_s)
        counts[leg.item.kind][1] += len(emulated)
        if leg.started_s and emulated:
            late_ms.append(1000 * (leg.started_s[0] - emulated[0]))
    return {
        "threshold, mean of the samples": TALK_LEVEL,
        "items": len(legs),
        "talking started, real and emulated": dict(counts),
        "event after the first loud frame was sent, median, ms": round(median(late_ms), 1),
        "the same, slowest, ms": round(max(late_ms), 1),
    }
