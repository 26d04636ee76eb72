"""Transfers of one call: by the model's tool, or told by a client of the API.

The caller is with the assistant until somebody has answered, and again when it did not work. From
then on the PBX has both, and the call is over for us.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Set
from contextlib import suppress
from dataclasses import dataclass

from sovereign_ari.control.consult import Consult
from sovereign_ari.control.line import CallersLine
from sovereign_ari.control.ports import CallServices, Note
from sovereign_ari.conversation.briefing import putting_through, summarise
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.terms import Destination, TransferOutcome
from sovereign_ari.domain import transfer
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.call import CallEvent, Failed, TimedOut, Transferred
from sovereign_ari.domain.control import InjectContext, Say, Transfer
from sovereign_ari.domain.dialplan import VARIABLE_HOPS
from sovereign_ari.domain.ids import CallId, ChannelId, bridge_of
from sovereign_ari.domain.transfer import Unreachable
from sovereign_ari.errors import AsteriskUnknown, SovereignError
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.waiting import Sound, Waiting
from sovereign_ari.telephony.dialling import CallerId, Dialled, Dialler
from sovereign_ari.telephony.handing_over import HandOver
from sovereign_ari.telephony.legs import Leg, Legs
from sovereign_ari.wire.media_leg import MediaLeg

KIND = "transfer"
LEG = "transfer"
SUMMARY_HEADER = "X-Call-Summary"
HOPS = f"__{VARIABLE_HOPS}"  # the underscores hand it on to the call that this one makes
SAID_WITHIN_S = 15.0
CUT_AFTER_S = 3.0  # of words of ours when somebody has answered and waits
ANNOUNCED_WITHIN_S = 6.0
LOOK_S = 0.04
UNDER_WAY = "the caller is being put through already"

log = logging.getLogger(__name__)


class NoTransfers:
    """Says that a call cannot be transferred, for the model to tell the caller."""

    async def transfer(self, destination: Destination) -> TransferOutcome:
        """Refuse."""
        return TransferOutcome(False, "calls cannot be transferred on this line")


@dataclass(frozen=True, slots=True)
class CallersSide:
    """What a transfer must know of a call, and tell it.

    Attributes:
        call: Its id.
        channel: The caller's.
        route: Whose number was called.
        dialled: That number.
        caller: Who calls, None when that is withheld.
        legs: The call's further channels.
        line: The caller's line.
        leg: His audio.
        wire: Its format.
        note: Puts something on the timeline.
        post: Delivers an event of the call.
    """

    call: CallId
    channel: ChannelId
    route: Route
    dialled: str
    caller: str | None
    legs: Legs
    line: CallersLine
    leg: MediaLeg
    wire: AudioFormat
    note: Note
    post: Callable[[CallEvent], None]


class CallTransfers:
    """A `conversation.terms.Transfers`. One transfer at a time.

    Args:
        side: The call.
        services: What all calls share.

    Attributes:
        dialogue: The conversation, once there is one.
    """

    def __init__(self, side: CallersSide, services: CallServices) -> None:
        self.dialogue: Dialogue | None = None
        self._side = side
        self._services = services
        self._hand_over = HandOver(services.ari, side.channel)
        self._under_way = False
        self._referring = False
        self._joined: Leg | None = None
        self._ordered: asyncio.Task[None] | None = None

    async def transfer(self, destination: Destination) -> TransferOutcome:
        """See `Transfers`: once the caller has heard what was said before it."""
        if destination.is_background:
            if self._is_ordered or self._under_way:
                return TransferOutcome(False, UNDER_WAY)
            self._begin(self._obey(destination, first_said=True))
            return TransferOutcome(False, pending=True)
        await self._said(SAID_WITHIN_S)
        return await self._try(destination)

    def order(self, command: Transfer) -> bool:
        """Do what a client of the API asks; False when nobody talks to the caller any more."""
        dialogue = self.dialogue
        if dialogue is None or not dialogue.is_open:
            return False
        if command.message is not None and not dialogue.control(Say(command.message, False)):
            return False
        wanted = Destination(
            "sip" if command.destination.lower().startswith("sip") else "number",
            command.destination,
            command.mode,
            command.timeout_s,
            command.caller_id,
            command.hold,
        )
        if self._is_ordered:
            self._side.note(KIND, {"step": "failed", "why": "another one is under way"})
            return True
        self._begin(self._obey(wanted, first_said=command.message is not None))
        return True

    @property
    def _is_ordered(self) -> bool:
        return self._ordered is not None and not self._ordered.done()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._ordered = asyncio.create_task(work, name=f"transfer {self._side.call}")

    def came_back(self, told: list[str]) -> bool:
        """Note that the dialplan gave the caller back; False if nobody waits for him."""
        return self._hand_over.came_back(told)

    def left(self) -> Transferred | None:
        """What it means that the caller's leg is gone: during a REFER, that his side agreed."""
        return Transferred(joined=True) if self._referring else None

    async def stop(self) -> None:
        """Give up what was ordered: the call ends."""
        if self._ordered is not None:
            self._ordered.cancel()
            await asyncio.wait((self._ordered,))

    async def let_go(self) -> None:
        """Hear no more of those who were joined: they are nobody's channels now."""
        if self._joined is not None:
            ari = self._services.ari
            await ari.stop_watching(self._side.channel)
            await ari.stop_watching(self._joined.channel)

    async def _obey(self, destination: Destination, *, first_said: bool) -> None:
        """Carry out an order, and have the assistant speak about it when it fails."""
        if first_said and not destination.is_background:
            await self._said(SAID_WITHIN_S)
        outcome = await self._try(destination)
        if not outcome.transferred and self.dialogue is not None:
            told = f"The transfer of this call to {destination.number} failed: {outcome.reason}."
            self.dialogue.control(InjectContext(f"{told} Tell the caller.", True))

    async def _said(self, within_s: float) -> None:
        """Let what we are saying come to its end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.dialogue is not None and not self.dialogue.is_quiet:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)

    async def _try(self, destination: Destination) -> TransferOutcome:
        if self._under_way:
            return TransferOutcome(False, UNDER_WAY)
        assert self.dialogue is not None
        self._under_way = True
        self.dialogue.occupied = not destination.is_background
        facts = {"mode": destination.mode, "destination": destination.number}
        self._side.note(KIND, {"step": "begun", **facts})
        try:
            outcome = await self._attempt(destination)
        except Unreachable as refusal:
            outcome = TransferOutcome(False, str(refusal))
        except SovereignError as error:
            log.warning("a transfer failed: %s: %s", error.code, error)
            outcome = TransferOutcome(False, "it did not work, for a technical reason")
        finally:
            self._under_way = self.dialogue.occupied = False
            self._side.leg.wait_with(None)
            if self._joined is None:  # a place that is not given back lapses
                with suppress(SovereignError):
                    await self._services.transfer_places.give_back(self._side.call)
        if not outcome.transferred:
            self._side.note(KIND, {"step": "failed", **facts, "why": outcome.reason})
        return outcome

    async def _attempt(self, destination: Destination) -> TransferOutcome:
        side = self._side
        line = await self._services.transfer_lines.find(side.route, destination.number)
        if destination.mode == "refer":
            return await self._refer(destination, transfer.refer_to(destination.number, line))
        hops = 0
        if line.is_ours:
            said = await self._services.ari.channel_variable(side.channel, VARIABLE_HOPS)
            hops = int(said) if said.isdecimal() else 0
        endpoints = transfer.dial(destination.number, line, hops=hops)
        if not line.is_ours:
            await self._services.transfer_places.take(side.route.organisation_id, side.call)
        warm = destination.mode == "warm"
        if not destination.is_background:
            side.leg.wait_with(Waiting(Sound.MUSIC if warm else Sound.RINGBACK, side.leg.audio))
        told = self._services.transfer_headers if not line.is_ours else frozenset()
        summary = await self._summary() if warm or "summary" in told else ""
        dialled = Dialled(
            LEG,
            endpoints,
            CallerId(destination.caller_id or side.caller or _shown(side.dialled)),
            destination.timeout_s,
            self._headers(told, summary) | ({HOPS: str(hops + 1)} if line.is_ours else {}),
            side.wire if line.is_ours else None,
        )
        talking = destination.is_background
        return await self._connect(dialled, summary if warm else None, talking=talking)

    async def _summary(self) -> str:
        """What the conversation was about so far, for whoever takes over."""
        side, assistant = self._side, self._side.route.assistant
        if assistant is None or self.dialogue is None:
            return ""
        providers = self._services.providers.for_assistant(assistant, side.wire, side.note)
        return await summarise(providers.llm, self.dialogue.history.messages)

    def _headers(self, told: Set[str], summary: str) -> dict[str, str]:
        """What the other side is told of the call, as variables of its channel."""
        values = {"call-id": ("X-Call-Id", self._side.call), "summary": (SUMMARY_HEADER, summary)}
        return {
            f"PJSIP_HEADER(add,{name})": transfer.header_value(value)
            for kind, (name, value) in values.items()
            if kind in told and value
        }

    async def _connect(
        self, dialled: Dialled, briefing: str | None, *, talking: bool
    ) -> TransferOutcome:
        """Call somebody, ask him first if there is a briefing, and join him with the caller.

        A caller who talks to the assistant meanwhile is told before.
        """
        side, services = self._side, self._services
        dialler = Dialler(services.ari, side.legs, side.note, services.clock)
        result = await dialler.dial(
            dialled, lambda progress: side.note(KIND, {"step": progress.value})
        )
        if result.leg is None:
            return TransferOutcome(False, result.text)
        side.note(KIND, {"step": "answered"})
        try:
            if briefing is not None and side.route.assistant is not None:
                consult = Consult(side.call, side.legs, side.wire, side.note, services)
                why = await consult.refusal(result.leg, side.route.assistant, briefing)
                if why is not None:
                    return TransferOutcome(False, why)
                side.note(KIND, {"step": "accepted"})
            if talking:
                await self._announce()
            await self._said(CUT_AFTER_S)
            side.leg.wait_with(None)
            return await self._join(result.leg)
        finally:
            if self._joined is None:
                await result.leg.close()

    async def _announce(self) -> None:
        """Tell a caller who talks to the assistant that he is put through now."""
        if self.dialogue is None or self._side.route.assistant is None:
            return
        self.dialogue.occupied = True
        self.dialogue.control(Say(putting_through(self._side.route.assistant), False))
        await self._said(ANNOUNCED_WITHIN_S)

    async def _join(self, leg: Leg) -> TransferOutcome:
        side = self._side
        await side.line.let_go()
        try:
            joined = await self._hand_over.join(leg)
        except AsteriskUnknown as error:
            side.post(Failed(str(error)))
            raise
        except SovereignError:
            side.line.back()
            raise
        if not joined:
            await self._resume()
            return TransferOutcome(False, "the other side hung up at once")
        self._joined = leg
        leg.release()
        side.note(KIND, {"step": "joined"})
        side.post(Transferred(joined=True))
        return TransferOutcome(True)

    async def _resume(self) -> None:
        """Have the caller, whom the PBX gave back, hear us again."""
        side = self._side
        if side.line.longest_is_over:
            side.post(TimedOut())
            return
        await self._services.ari.add_to_bridge(bridge_of(side.call), side.channel)
        side.line.back()

    async def _refer(self, destination: Destination, uri: str) -> TransferOutcome:
        """Ask the caller's side to call somebody else."""
        side, ari = self._side, self._services.ari
        if not (await ari.channel_name(side.channel)).startswith("PJSIP/"):
            return TransferOutcome(False, "the caller's line cannot be asked to call elsewhere")
        if not uri.lower().startswith("sip"):
            theirs = await ari.channel_variable(side.channel, "CHANNEL(pjsip,remote_uri)")
            host = theirs.strip("<>").rpartition("@")[2].partition(";")[0]
            uri = f"sip:{uri}@{host}"
        await self._said(SAID_WITHIN_S)
        await side.line.let_go(destination.timeout_s)
        self._referring = True
        try:
            status, code = await self._hand_over.refer(uri, {}, destination.timeout_s)
        except AsteriskUnknown as error:
            side.post(Failed(str(error)))
            raise
        finally:
            self._referring = False
        side.note(KIND, {"step": "referred", "status": status, "sip": code})
        if status == "SUCCESS":
            side.post(Transferred(joined=False))
            return TransferOutcome(True)
        await self._resume()
        return TransferOutcome(False, _refused(status, code))


def _refused(status: str, code: str) -> str:
    match status:
        case "TIMEOUT":
            return "the caller's side did not say in time what became of it"
        case "UNSUPPORTED":
            return "the caller's side cannot be asked to call elsewhere"
        case _:
            return f"the other side was not reached (SIP {code})"


def _shown(dialled: str) -> str | None:
    """The number to show for a caller who withheld his own: an extension means nothing outside."""
    return dialled if dialled.startswith("+") else None
