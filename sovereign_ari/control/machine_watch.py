"""Whether a machine answered a call that we placed, as far as its assistant wants to know."""

from __future__ import annotations

import asyncio
import logging

from sovereign_ari.control.ports import CallServices
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.machine_tones import OutboundDialogue
from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.screened_dialogue import ScreenedDialogue
from sovereign_ari.conversation.terms import Providers, Reporting
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.ids import CallId, ChannelId
from sovereign_ari.errors import SovereignError
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.telephony.answering_machine import LEG_NAME, ask_pbx
from sovereign_ari.telephony.legs import Legs

log = logging.getLogger(__name__)


class MachineWatch:
    """Makes the dialogue of one call, and has the PBX listen beside it when that is screened.

    Args:
        call: The call.
        services: What all calls share.
        legs: Its further channels.
    """

    def __init__(self, call: CallId, services: CallServices, legs: Legs) -> None:
        self._call = call
        self._services = services
        self._legs = legs
        self._screened: ScreenedDialogue | None = None
        self._asking: asyncio.Task[None] | None = None

    def make_dialogue(
        self,
        assistant: Assistant,
        providers: Providers,
        mouth: Mouth,
        wire: AudioFormat,
        reporting: Reporting,
    ) -> Dialogue:
        """Make the one that the assistant is configured for."""
        if not assistant.voicemail_detection:
            return OutboundDialogue(self._call, assistant, providers, mouth, wire, reporting)
        self._screened = ScreenedDialogue(self._call, assistant, providers, mouth, wire, reporting)
        return self._screened

    def start(self, callee: ChannelId) -> None:
        """Begin to listen: somebody has answered. Nobody waits for it."""
        if (dialogue := self._screened) is not None:
            work = self._ask(callee, dialogue)
            self._asking = asyncio.create_task(work, name=f"amd {self._call}")

    async def stop(self) -> None:
        """Listen no longer: the call ends."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))

    async def _ask(self, callee: ChannelId, dialogue: ScreenedDialogue) -> None:
        services = self._services
        try:
            async with self._legs.open(LEG_NAME) as leg:
                verdict = await ask_pbx(services.ari, callee, leg, services.app)
        except SovereignError as error:  # words and tones are there without it
            log.warning("the PBX does not say who answered: %s", error)
            return
        if verdict is not None:
            dialogue.pbx_heard(verdict)
