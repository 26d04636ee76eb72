"""A call that we place: it rings at somebody's, and from the answer on is like any other.

Everything that talking needs is made ready before anybody is rung up, so that the greeting is on
its way when the answer comes. Who is called meanwhile is a leg of the call; with the answer that
leg becomes the call's own channel, and the dialplan minds it as it minds every answered one.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from sovereign_ari.control.call_record import CallRecord, Invitation
from sovereign_ari.control.live_call import LiveCall
from sovereign_ari.control.machine_watch import MachineWatch
from sovereign_ari.control.ports import CallServices
from sovereign_ari.control.requests import all_done
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.call import (
    CallEvent,
    CallState,
    Command,
    ConversationEnded,
    Failed,
    HungUp,
    Outcome,
    PickedUp,
    Rang,
    Unanswered,
)
from sovereign_ari.domain.control import Cancel, CommandOutcome, ControlCommand
from sovereign_ari.domain.dialplan import VARIABLE_APP
from sovereign_ari.domain.ids import leg_of
from sovereign_ari.domain.outbound import CODEC, PlacedCall
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.domain.trunk import dial_strings
from sovereign_ari.errors import SovereignError
from sovereign_ari.telephony.dialling import (
    CallerId,
    Dialled,
    Dialler,
    DialResult,
    Progress,
)
from sovereign_ari.telephony.legs import Leg

LINE = "line"
GONE_BEFORE_SPEECH = 16
UNHEARD = (CallState.PREPARING, CallState.DIALLING, CallState.ANSWERING)
"""Where nobody has heard us yet."""
UNMINDED_S = 15.0
"""If we die while it rings, the PBX ends the call after so much more than it may ring. The answer
brings the call another limit."""

CANCELLED = Outcome(CallStatus.ENDED, EndReason.ASSISTANT_HANGUP)
"""As when a caller gives up before we answer: the call has ended, and who hung up is said."""

log = logging.getLogger(__name__)


def refuse(placed: PlacedCall, why: str, services: CallServices) -> None:
    """Write down that a call was not placed, and have its webhooks told."""
    log.error("the call %s is not placed: %s", placed.call_id, why)
    _close_unplaced(placed, Outcome(CallStatus.FAILED, EndReason.UNREACHABLE, error=why), services)


def give_up(placed: PlacedCall, services: CallServices) -> None:
    """Write down that a call was cancelled before we took it, and have its webhooks told."""
    _close_unplaced(placed, CANCELLED, services)


def _close_unplaced(placed: PlacedCall, outcome: Outcome, services: CallServices) -> None:
    record = CallRecord(placed.call_id, _invitation(placed), services)
    record.open(placed.route)
    record.close(outcome, {})


def _invitation(placed: PlacedCall) -> Invitation:
    line = leg_of(placed.call_id, LINE)
    return Invitation(line, placed.number, CODEC, placed.destination)


class OutboundCall(LiveCall):
    """See `LiveCall`.

    Args:
        placed: Whom to call, and who talks.
        services: What all calls share.
    """

    def __init__(self, placed: PlacedCall, services: CallServices) -> None:
        super().__init__(placed.call_id, _invitation(placed), services)
        self._placed = placed
        self._route = placed.route
        self._dialling: asyncio.Task[None] | None = None
        self._picked_up_at: datetime | None = None
        self._machine = MachineWatch(placed.call_id, services, self.legs)

    @property
    def has_line(self) -> bool:
        """See `LiveCall`: until the answer it is a leg."""
        return self._picked_up_at is not None

    def control(self, command: ControlCommand) -> CommandOutcome:
        """See `LiveCall`. It can be cancelled until somebody has answered and hears us."""
        if not isinstance(command, Cancel):
            return super().control(command)
        if self.runner.state not in UNHEARD:
            return CommandOutcome.NOT_ACTIVE
        self.note("control", {"type": command.type})
        self.runner.post(ConversationEnded(CANCELLED.reason))
        return CommandOutcome.DONE

    async def _perform(self, command: Command, event: CallEvent) -> None:
        match command:
            case Command.DIAL:
                self._dialling = asyncio.create_task(self._dial(), name=f"call {self.id}")
            case Command.NOTE_RINGING:
                self._record.ringing()
            case Command.START_CONVERSATION:
                await super()._perform(command, event)
                self._machine.start(self.channel)
            case _:
                await super()._perform(command, event)

    async def _prepare_line(self, assistant: Assistant) -> None:
        """Prepare nothing: there is no line yet."""

    def _make_dialogue(self, assistant: Assistant, providers: Providers) -> Dialogue:
        return self._machine.make_dialogue(
            assistant, providers, self._leg, self._audio, self._reporting()
        )

    async def _dial(self) -> None:
        """Call them, and post what becomes of it; a fault must not leave the call waiting."""
        try:
            result = await self._call_them()
        except SovereignError as error:
            self.runner.post(Failed(f"{Command.DIAL.value}: {error}"))
        except Exception as fault:  # of ours: the call ends with it
            log.exception("dialling failed")
            self.runner.post(Failed(f"{Command.DIAL.value}: {type(fault).__name__}"))
        else:
            if result.leg is not None:
                self._take_over(result.leg)
            else:
                reason = result.end_reason or EndReason.UNREACHABLE
                self.runner.post(Unanswered(reason, result.q850, result.text))

    async def _call_them(self) -> DialResult:
        placed, services = self._placed, self._services
        dialler = Dialler(services.ari, self.legs, self.note, services.clock)
        ring_s = placed.ring_s or services.ring_s
        dialled = Dialled(
            LINE,
            dial_strings(placed.trunk_id, placed.addresses, placed.destination),
            CallerId(placed.shown, withheld=placed.withheld),
            ring_s,
            {"TIMEOUT(absolute)": f"{ring_s + UNMINDED_S:g}"},
        )
        return await dialler.dial(dialled, self._on_progress)

    def _on_progress(self, progress: Progress) -> None:
        self.note("dial_progress", {"step": progress.value})
        self.runner.post(Rang())

    def _take_over(self, leg: Leg) -> None:
        """Make the leg that answered the call's own channel; its events are the call's now."""
        leg.release()
        self._picked_up_at = self._services.wall_clock()
        self.runner.post(PickedUp())
        if leg.gone is not None:
            self.runner.post(HungUp(leg.gone.cause or GONE_BEFORE_SPEECH))

    async def _answer(self) -> None:
        """Have the dialplan mind the line of somebody who has answered already."""
        assert self._route is not None
        assert self._route.assistant is not None
        ari, assistant = self._services.ari, self._route.assistant
        told = self.line.answering(self._services, self.id, self.channel, assistant)
        told = {VARIABLE_APP: self._services.app, **told}
        await all_done(ari.set_variables(self.channel, told), ari.watch_channel(self.channel))
        await super()._answer()

    async def _close_record(self) -> None:
        """Write of somebody who hung up right behind his answer that he had answered."""
        outcome, heard_us = self.runner.outcome, self.answered_s is not None
        if outcome is not None and outcome.status is CallStatus.ENDED and not heard_us:
            if (at := self._picked_up_at) is not None:
                self._record.answered(conversation=False, at=at)
        await super()._close_record()

    async def _stop_conversation(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
            await asyncio.wait((self._dialling,))
        await self._machine.stop()
        await super()._stop_conversation()
