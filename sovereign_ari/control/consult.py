"""A second, short conversation of a call: somebody is asked whether he takes the caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from sovereign_ari.control.ports import CallServices, Note
from sovereign_ari.control.requests import regardless
from sovereign_ari.conversation.briefing import Answers, Question, briefed
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.side_work import SideWork
from sovereign_ari.conversation.terms import Providers, Reporting, in_language_of
from sovereign_ari.conversation.tools import NoTools
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.consent import LANGUAGES
from sovereign_ari.domain.dialplan import ARGUMENT_MEDIA
from sovereign_ari.domain.ids import BridgeId, CallId
from sovereign_ari.errors import AsteriskUnknown
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.telephony.legs import Leg, LegGone, Legs
from sovereign_ari.wire.ari_messages import ChannelDtmfReceived, StasisStart
from sovereign_ari.wire.media_leg import MediaLeg

LEG = "consult"
ENTERS_WITHIN_S = 2.0
ANSWERED_WITHIN_S = 45.0
"""Of the briefing and its answer. A voicemail never says yes: the caller is not kept for it."""
TICK_S = 0.04
ACCEPT, DECLINE = "1", "2"

NOBODY = "somebody or something answered, but did not agree to take the call"
DECLINED = "the call was declined"
HUNG_UP = "the other side hung up before taking the call"


class Consult:
    """Asks one person, on a bridge and a media leg of its own.

    Args:
        call: Whose caller it is about.
        legs: The further channels of that call.
        wire: Format of our audio.
        note: Puts something on its timeline.
        services: What all calls share.
    """

    def __init__(
        self, call: CallId, legs: Legs, wire: AudioFormat, note: Note, services: CallServices
    ) -> None:
        self._call = call
        self._legs = legs
        self._wire = wire
        self._note = note
        self._services = services
        self._decision: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._dialogue: Dialogue | None = None

    async def refusal(self, leg: Leg, assistant: Assistant, summary: str) -> str | None:
        """Ask whoever answered on `leg`; why he does not take the call, None when he does.

        Raises:
            AsteriskUnknown: If the PBX did not let us speak to him.
        """
        asking = briefed(assistant, summary)
        async with self._media(leg) as media:
            providers = self._services.providers.for_assistant(asking, self._wire, self._note)
            work, begun_s = SideWork("briefing for a transfer", providers), self._services.clock()
            dialogue = self._dialogue = self._open(asking, providers, media, work)
            talking = asyncio.create_task(dialogue.run(), name=f"consult {self._call}")
            ticking = asyncio.create_task(self._tick(media, dialogue), name="consult tick")
            keys = asyncio.create_task(self._listen_to_keys(leg), name="consult keys")
            dialogue.answered()
            try:
                done, _ = await asyncio.wait(
                    (self._decision, talking, keys, ticking),
                    timeout=ANSWERED_WITHIN_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                self._dialogue = None
                dialogue.stop_listening()
                for task in (talking, ticking, keys):
                    task.cancel()
                await asyncio.wait((talking, ticking, keys))
                work.told(self._note, self._services.clock() - begun_s)
        for ended in done:
            ended.result()  # a fault of ours
        if self._decision.done():
            return None if self._decision.result() else DECLINED
        return HUNG_UP if keys in done else NOBODY

    def _open(
        self, asking: Assistant, providers: Providers, media: MediaLeg, work: SideWork
    ) -> Dialogue:
        services = self._services
        answers = Answers(providers.stt, in_language_of(asking, LANGUAGES), self._decide)
        providers = replace(
            providers, stt=answers, llm=Question(asking), tools=NoTools(), speculate=False
        )
        told = Reporting(
            turn=work.turn,
            note=lambda kind, detail: self._note("consult", {"what": kind, **detail}),
            clock=services.clock,
            wall_clock=services.wall_clock,
        )
        return Dialogue(self._call, asking, providers, media, self._wire, told)

    def _decide(self, accepted: bool) -> None:
        if not self._decision.done():
            self._decision.set_result(accepted)

    def _hear(self, frame: bytes, now_s: float) -> None:
        if self._dialogue is not None:
            self._dialogue.hear(frame, now_s)

    async def _tick(self, media: MediaLeg, dialogue: Dialogue) -> None:
        while True:
            now_s = self._services.clock()
            media.poll(now_s)
            dialogue.tick(now_s)
            await asyncio.sleep(TICK_S)

    async def _listen_to_keys(self, leg: Leg) -> None:
        """Take keys until one decides, or the other side hangs up."""
        while not isinstance(event := await leg.event(), LegGone):
            if isinstance(event, ChannelDtmfReceived) and event.digit in (ACCEPT, DECLINE):
                self._note("consult", {"what": "dtmf", "digit": event.digit})
                self._decide(event.digit == ACCEPT)

    @asynccontextmanager
    async def _media(self, leg: Leg) -> AsyncIterator[MediaLeg]:
        """Join a leg with a media leg of ours; undone at the end, but for the leg."""
        services, ari = self._services, self._services.ari
        bridge = BridgeId(f"{self._call}-consult-bridge")
        media = MediaLeg(self._wire, services.rtp, services.entropy(), services.clock, self._hear)
        async with AsyncExitStack() as stack:
            stack.callback(media.close)
            stack.push_async_callback(regardless, lambda: ari.destroy_bridge(bridge))
            ours = await stack.enter_async_context(self._legs.open(LEG))
            await ari.create_bridge(bridge)
            peer = await ari.open_external_media(
                ours.channel, to=media.local, audio=self._wire, argument=ARGUMENT_MEDIA
            )
            media.listen_to(peer)
            try:
                async with asyncio.timeout(ENTERS_WITHIN_S):
                    entered = await ours.event()
                    while not isinstance(entered, StasisStart | LegGone):
                        entered = await ours.event()
            except TimeoutError:
                raise AsteriskUnknown("the consult leg did not enter our application") from None
            await ari.add_to_bridge(bridge, leg.channel, ours.channel)
            media.connect(peer, services.pacer, ours.channel)
            stack.callback(services.pacer.remove, ours.channel)
            yield media
