"""AMD() of a real Asterisk, in the product's own dialplan, on part of the labelled beginnings."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from sovereign_ari.domain.answering_machine import Kind, PbxVerdict
from sovereign_ari.domain.ids import CallId, ChannelId, call_id, call_of
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import FRAME_S, ULAW_8K
from sovereign_ari.media.rtp import RtpStream
from sovereign_ari.telephony.answering_machine import LEG_NAME, ask_pbx
from sovereign_ari.telephony.legs import Legs
from sovereign_ari.wire.ari_events import AriEvents
from sovereign_ari.wire.ari_http import AriAddress, AriHttp
from sovereign_ari.wire.ari_messages import ApplicationReplaced, AriEvent
from tests.support.labelled_greetings import Beginning
from tests.support.platform import running_platform

APP = "bench-voicemail"
PLAYED_S = 8.0
MOST = {Kind.HUMAN: 30, Kind.VOICEMAIL: 16, Kind.CALL_SCREENING: 3, Kind.IVR: 3, Kind.UNKNOWN: 2}


@dataclass
class Answerer:
    """Somebody who answers, on a channel of his own."""

    beginning: Beginning
    call: CallId
    channel: ChannelId
    socket: socket.socket
    legs: Legs
    stream: RtpStream = field(default_factory=lambda: RtpStream(0, 0, 0, 1))
    peer: tuple[str, int] = ("", 0)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    verdict: PbxVerdict | None = None
    after_s: float | None = None


async def ask_real_pbx(beginnings: Sequence[Beginning]) -> list[Answerer]:
    """Play some of them to a real PBX, all at once; what AMD said stands in what is returned."""
    password = secrets.token_hex(8)
    answerers: dict[CallId, Answerer] = {}

    def post(event: AriEvent) -> None:
        if isinstance(event, ApplicationReplaced):
            return
        owner = call_of(event.channel.id)
        if owner is None or (answerer := answerers.get(owner)) is None:
            return
        if not answerer.legs.post(event.channel.id, event):
            answerer.entered.set()

    async with running_platform({"SOVEREIGN_ARI_PASSWORD": password}) as platform:
        address = AriAddress(platform.ready["ari_url"], "sovereign", password, APP)
        connected = asyncio.Event()
        events = AriEvents(address, post=post, connected=_setting(connected))
        reading = asyncio.create_task(events.run())
        async with AriHttp(address) as ari, AsyncExitStack() as stack:
            await asyncio.wait_for(connected.wait(), 10)
            for number, beginning in enumerate(_chosen(beginnings)):
                answerer = _answerer(number, beginning, ari)
                answerers[answerer.call] = answerer
                stack.callback(answerer.socket.close)
                await _open(ari, answerer)
            begun_s = time.monotonic()
            asking = [_ask(ari, each, begun_s) for each in answerers.values()]
            await asyncio.gather(_play(list(answerers.values()), begun_s), *asking)
            for answerer in answerers.values():
                await ari.hang_up(answerer.channel)
        reading.cancel()
        await asyncio.wait([reading])
    return list(answerers.values())


def _chosen(beginnings: Sequence[Beginning]) -> list[Beginning]:
    """Every so many of each kind, so that all languages and noises are among them."""
    chosen: list[Beginning] = []
    for kind, most in MOST.items():
        of_kind = [each for each in beginnings if each.kind is kind]
        step = max(1, len(of_kind) // most)
        chosen += of_kind[::step][:most]
    return chosen


def _answerer(number: int, beginning: Beginning, ari: AriHttp) -> Answerer:
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours.bind(("127.0.0.1", 0))
    call = call_id("outbound", number, secrets.randbits(80))
    return Answerer(beginning, call, ChannelId(f"{call}-line"), ours, Legs(call, ari))


def _setting(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def connected() -> None:
        event.set()

    return connected


async def _open(ari: AriHttp, answerer: Answerer) -> None:
    host, port = answerer.socket.getsockname()
    answerer.peer = await ari.open_external_media(
        answerer.channel, to=(host, port), audio=ULAW_8K, argument="bench"
    )
    await asyncio.wait_for(answerer.entered.wait(), 10)


async def _ask(ari: AriHttp, answerer: Answerer, begun_s: float) -> None:
    async with answerer.legs.open(LEG_NAME) as leg:
        answerer.verdict = await ask_pbx(ari, answerer.channel, leg, APP)
        answerer.after_s = time.monotonic() - begun_s


async def _play(answerers: Sequence[Answerer], begun_s: float) -> None:
    for number in range(round(PLAYED_S / FRAME_S)):
        await asyncio.sleep(max(0.0, begun_s + number * FRAME_S - time.monotonic()))
        for answerer in answerers:
            frame = answerer.beginning.pcm[number * 320 :][:320] or bytes(320)
            packet = answerer.stream.next(pcm_to_ulaw(frame))
            answerer.socket.sendto(packet, answerer.peer)
