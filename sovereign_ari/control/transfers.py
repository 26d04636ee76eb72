"""Transfers of one call: by the model's tool, or told by a client of the API.

The caller is with the assistant until somebody has answered, and again when it did not work. From
then on the PBX has both, and the call is over for us.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sovereign_ari.control.consult import Consult
from sovereign_ari.control.line import CallersLine
from sovereign_ari.control.ports import CallServices, Note
from sovereign_ari.conversation.briefing import putting_through, summarise
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.side_work import SideWork
from sovereign_ari.conversation.terms import Destination, TransferOutcome
from sovereign_ari.domain import transfer
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.call import CallEvent, Failed, TimedOut, Transferred
from sovereign_ari.domain.control import CommandOutcome, InjectContext, Say, Transfer
from sovereign_ari.domain.dialplan import VARIABLE_HOPS
from sovereign_ari.domain.ids import CallId, ChannelId, bridge_of
from sovereign_ari.domain.transfer import Unreachable
from sovereign_ari.errors import AsteriskRefused, AsteriskUnavailable, SovereignError
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
TECHNICAL = "it did not work, for a technical reason"

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
        self._claimed = False
        self._referring = False
        self._joined: Leg | None = None
        self._ordered: asyncio.Task[None] | None = None

    async def transfer(self, destination: Destination) -> TransferOutcome:
        """See `Transfers`: once the caller has heard what was said before it."""
        if self._claimed:
            return TransferOutcome(False, UNDER_WAY)
        self._claimed = True
        if destination.is_background:
            self._begin(self._obey(destination, first_said=False))
            return TransferOutcome(False, pending=True)
        try:
            return await self._try(destination, first_said=True)
        finally:
            self._claimed = False

    def order(self, command: Transfer) -> CommandOutcome:
        """Do what a client of the API asks. What it wants said is not said when it is refused."""
        dialogue = self.dialogue
        if dialogue is None or not dialogue.is_open:
            return CommandOutcome.NOT_ACTIVE
        if self._claimed:
            return CommandOutcome.TRANSFER_UNDER_WAY
        if command.message is not None and not dialogue.control(Say(command.message, False)):
            return CommandOutcome.NOT_ACTIVE
        self._claimed = True
        wanted = Destination(
            "sip" if command.destination.lower().startswith("sip") else "number",
            command.destination,
            command.mode,
            command.timeout_s,
            command.caller_id,
            command.hold,
        )
        spoken = command.message is not None and not wanted.is_background
        self._begin(self._obey(wanted, first_said=spoken))
        return CommandOutcome.DONE

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._ordered = asyncio.create_task(work, name=f"transfer {self._side.call}")
        self._ordered.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._claimed = False
        if not task.cancelled() and (fault := task.exception()):
            log.error("a transfer failed", exc_info=fault)
            self._side.post(Failed(f"a transfer failed: {type(fault).__name__}"))

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
        outcome = await self._try(destination, first_said=first_said)
        if not outcome.transferred and self.dialogue is not None:
            told = transfer.told_of_failure(destination.number, outcome.reason)
            self.dialogue.control(InjectContext(told, True))

    async def _said(self, within_s: float) -> None:
        """Let what we are saying come to its end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.dialogue is not None and not self.dialogue.is_quiet:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)

    async def _try(self, destination: Destination, *, first_said: bool) -> TransferOutcome:
        """Transfer the caller, once what is being said has been heard if that is to be first."""
        assert self.dialogue is not None
        facts = {"mode": destination.mode, "destination": destination.number}
        try:
            if first_said:
                await self._said(SAID_WITHIN_S)
            self.dialogue.occupied = not destination.is_background
            self._side.note(KIND, {"step": "begun", **facts})
            outcome = await self._attempt(destination)
        except Unreachable as refusal:
            outcome = TransferOutcome(False, str(refusal))
        except SovereignError as error:
            log.warning("a transfer failed: %s: %s", error.code, error)
            outcome = TransferOutcome(False, TECHNICAL)
        except Exception:  # of ours: the caller is back, and is told
            log.exception("a transfer failed")
            outcome = TransferOutcome(False, TECHNICAL)
        finally:
            self.dialogue.occupied = False
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
        work = SideWork("summary for a transfer", providers)
        try:
            return await summarise(work.model, self.dialogue.history.messages)
        finally:
            work.told(side.note)

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
        with self._left_to_the_pbx():
            await side.line.let_go()
            joined = await self._hand_over.join(leg)
        if not joined:
            await self._resume()
            return TransferOutcome(False, "the other side hung up at once")
        self._joined = leg
        leg.release()
        side.note(KIND, {"step": "joined"})
        side.post(Transferred(joined=True))
        return TransferOutcome(True)

    @contextmanager
    def _left_to_the_pbx(self) -> Iterator[None]:
        """Go on with the caller when he has not left us; end the call when nobody can tell."""
        try:
            yield
        except (AsteriskRefused, AsteriskUnavailable):
            self._side.line.back()
            raise
        except Exception as error:
            self._side.post(Failed(f"{type(error).__name__}: {error}"))
            raise

    async def _resume(self) -> None:
        """Have the caller, whom the PBX gave back, hear us again."""
        side = self._side
        if side.line.longest_is_over:
            side.post(TimedOut())
            return
        try:
            await self._services.ari.add_to_bridge(bridge_of(side.call), side.channel)
        except SovereignError as error:
            side.post(Failed(f"the caller came back and could not be heard: {error}"))
            raise
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
        with self._left_to_the_pbx():
            await side.line.let_go(destination.timeout_s)
            self._referring = True
            try:
                status, code = await self._hand_over.refer(uri, {}, destination.timeout_s)
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
