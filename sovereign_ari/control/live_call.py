"""One live call: what each command does to Asterisk, the dialogue and the record."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sovereign_ari.control.asking import Asking
from sovereign_ari.control.call_record import CallRecord, Invitation
from sovereign_ari.control.line import CallersLine
from sovereign_ari.control.ports import CallServices, CallTools
from sovereign_ari.control.requests import all_done, regardless
from sovereign_ari.control.runner import CallRunner
from sovereign_ari.control.transfers import CallersSide, CallTransfers
from sovereign_ari.conversation.deaf import Deaf
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.terms import Ending, Providers, Reporting
from sovereign_ari.domain.agent import Assistant, Route
from sovereign_ari.domain.call import (
    CallEvent,
    CallState,
    Command,
    ConversationEnded,
    Failed,
    HungUp,
    MediaOpened,
    Outcome,
    Released,
    Routed,
    Transferred,
    Unready,
    broken,
)
from sovereign_ari.domain.control import Cancel, CommandOutcome, ControlCommand, EndCall, Transfer
from sovereign_ari.domain.dialplan import (
    ANSWER_CONTEXT,
    ANSWER_EXTENSION,
    ARGUMENT_MEDIA,
    TRUNK_VARIABLE,
)
from sovereign_ari.domain.ids import CallId, bridge_of, direction_of, media_channel_of
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.errors import AsteriskUnknown, IllegalTransition, OutgoingFailed
from sovereign_ari.media.pcm import BY_CODEC
from sovereign_ari.telephony.legs import Legs
from sovereign_ari.wire.media_leg import MediaLeg

MEDIA_ENTERS_WITHIN_S = 2.0
ANSWERED_WITHIN_S = 10.0  # the dialplan's own answer takes milliseconds; its event may be lost

log = logging.getLogger(__name__)


class LiveCall:
    """A call, from its first ring until Asterisk holds nothing of it.

    This one came in; `control.outbound_call` has another beginning.

    Args:
        call_id: Its id.
        invitation: What the dialplan said.
        services: What all calls share.
    """

    def __init__(self, call_id: CallId, invitation: Invitation, services: CallServices) -> None:
        self.id = call_id
        self.channel = invitation.channel
        self.runner = CallRunner(self._perform)
        self.media_entered = asyncio.Event()
        self.answered_s: float | None = None
        self._dialled, self._trunk = invitation.dialled, invitation.trunk
        self._services = services
        self._route: Route | None = None
        self._record = CallRecord(call_id, invitation, services)
        self._audio = BY_CODEC[invitation.codec]
        self._leg = MediaLeg(
            self._audio,
            services.rtp,
            services.entropy(),
            services.clock,
            self._hear,
        )
        self.line = CallersLine(self._leg, self._audio, self.note)
        self._tools: CallTools | None = None
        self._dialogue: Dialogue | None = None
        self._talking: asyncio.Task[Ending] | None = None
        self._answered_by_s: float | None = None
        self._asking = Asking(services.requests, self.note, self._settled, self._nobody_found)
        self._rings = False
        self.legs = Legs(call_id, services.ari)
        self.transfers: CallTransfers | None = None

    @property
    def is_talking(self) -> bool:
        """Whether the caller is connected to the assistant."""
        return self.runner.state is CallState.TALKING

    @property
    def dialled(self) -> str:
        """Our side: the number that was called, or is called from."""
        return self._dialled

    @property
    def has_line(self) -> bool:
        """Whether Asterisk must have `channel`, unless it is gone."""
        return True

    def tick(self, now_s: float) -> None:
        """Let time pass; to be called a few times a second."""
        self._leg.poll(now_s)
        if self._dialogue is not None:
            self._dialogue.tick(now_s)
        if self._answered_by_s is not None and now_s > self._answered_by_s:
            self._answered_by_s = None
            if self.runner.state is CallState.ANSWERING:
                self.runner.post(Failed("the dialplan did not bring the caller back"))

    def control(self, command: ControlCommand) -> CommandOutcome:
        """Do what a client of the API asks."""
        if not self.is_talking or self._dialogue is None or self.transfers is None:
            return CommandOutcome.NOT_ACTIVE
        if isinstance(command, Cancel):
            return CommandOutcome.NOT_ACTIVE
        if isinstance(command, Transfer):
            outcome = self.transfers.order(command)
        else:
            taken = self._dialogue.control(command)
            outcome = CommandOutcome.DONE if taken else CommandOutcome.NOT_ACTIVE
        refused = {} if outcome is CommandOutcome.DONE else {"refused": outcome.value}
        if outcome is not CommandOutcome.NOT_ACTIVE:
            self.note("control", {"type": command.type, **refused})
        return outcome

    async def abandon(self, why: str) -> None:
        """Leave nothing behind after a fault of our own in this call, not even an open row."""
        self.runner.outcome = self.runner.outcome or broken(self.runner.state, why)
        try:
            await self._stop_conversation()
        finally:
            try:
                await self._release()
            finally:
                await self._close_record()

    def note(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Put something on the call's timeline."""
        self._record.note(kind, detail)

    async def _perform(self, command: Command, event: CallEvent) -> None:
        match command:
            case Command.FIND_ROUTE | Command.ASK:
                await (self._find_route() if command is Command.FIND_ROUTE else self._ask())
            case Command.OPEN_RECORD:
                self._record.open(self._route)
            case Command.OPEN_MEDIA:
                await self._open_media()
            case Command.ANSWER | Command.START_CONVERSATION:
                answers = command is Command.ANSWER
                await (self._answer() if answers else self._start_conversation())
            case Command.SAY_TIME_IS_UP | Command.BRING_BACK:
                await self._rejoin(command)
            case Command.STOP_CONVERSATION:
                await self._stop_conversation()
            case Command.RELEASE:
                gone = isinstance(event, HungUp) or event == Transferred(joined=True)
                await self._release(caller_left=gone)
            case Command.CLOSE_RECORD:
                await self._close_record()
            case Command.DIAL | Command.NOTE_RINGING:
                raise IllegalTransition(f"{command.value} in a call that came in")

    async def _find_route(self) -> None:
        directory = self._services.directory
        self._route = await directory.find_route(self._dialled, self._trunk)
        self.runner.post(Routed(self._route))

    async def _ring(self) -> None:
        if not self._rings:
            self._rings = True
            await self._services.ari.ring(self.channel)

    async def _ask(self) -> None:
        """Ask who takes the call; events go on meanwhile, and may end it."""
        assert self._route is not None
        await self._ring()
        self._asking.start(self._route, self._record.subject(self._route, CallStatus.RINGING))

    def _settled(self, route: Route) -> None:
        assert self._route is not None
        if route.assistant is not self._route.assistant:
            self._record.configure(route)
        self._route = route
        self.runner.post(Routed(route))

    def _nobody_found(self, why: str) -> None:
        self.runner.post(Failed(f"{Command.ASK.value}: {why}"))

    async def _open_media(self) -> None:
        """Have everything ready in the PBX, while it rings and the first words are prepared."""
        assert self._route is not None
        assert self._route.assistant is not None
        ari, media, bridge = self._services.ari, media_channel_of(self.id), bridge_of(self.id)
        assistant = self._route.assistant
        transfers = self._open_transfers(self._route)
        self._tools = self._services.tools.for_call(
            self._record.subject(self._route, CallStatus.IN_PROGRESS),
            assistant,
            self.note,
            transfers,
        )
        providers = self._services.providers.for_assistant(assistant, self._audio, self.note)
        if self._route.rejection is not None:
            providers = replace(providers, stt=Deaf())
        self._dialogue = self._make_dialogue(assistant, replace(providers, tools=self._tools))
        transfers.dialogue = self._dialogue
        outbound = direction_of(self.id) == "outbound"
        self._talking = asyncio.create_task(
            self._dialogue.run(outbound=outbound), name=f"talk {self.id}"
        )
        self._talking.add_done_callback(self._talked)
        entropy = self._services.entropy()
        self._services.rooms.furnish(self._leg, assistant.background, entropy)
        unready, _, self._peer, _ = await all_done(
            self._open_tools(self._tools),
            self._prepare_line(assistant),
            ari.open_external_media(
                media, to=self._leg.local, audio=self._audio, argument=ARGUMENT_MEDIA
            ),
            ari.create_bridge(bridge),
        )
        self._leg.listen_to(self._peer)
        if unready is not None:
            self.runner.post(Unready(unready))
            return
        try:
            async with asyncio.timeout(MEDIA_ENTERS_WITHIN_S):
                await self.media_entered.wait()
        except TimeoutError:
            raise AsteriskUnknown("the media leg did not enter our application") from None
        self.runner.post(MediaOpened())

    def _make_dialogue(self, assistant: Assistant, providers: Providers) -> Dialogue:
        return Dialogue(self.id, assistant, providers, self._leg, self._audio, self._reporting())

    def _reporting(self) -> Reporting:
        services = self._services
        return Reporting(services.journal.post, self.note, services.clock, services.wall_clock)

    async def _prepare_line(self, assistant: Assistant) -> None:
        """Let it ring, and tell the PBX what it must know of the caller's channel."""
        assert self._route is not None
        ari = self._services.ari
        told = dict(self.line.answering(self._services, self.id, self.channel, assistant))
        if self._route.trunk_id is not None:
            told[TRUNK_VARIABLE] = self._route.trunk_id
        await all_done(
            self._ring(), ari.set_variables(self.channel, told), ari.watch_channel(self.channel)
        )

    def _open_transfers(self, route: Route) -> CallTransfers:
        side = CallersSide(
            self.id, self.channel, route, self._dialled, self._record.caller,
            self.legs, self.line, self._leg, self._audio, self.note, self.runner.post,
        )  # fmt: skip
        self.transfers = CallTransfers(side, self._services)
        return self.transfers

    async def _open_tools(self, tools: CallTools) -> str | None:
        """Connect the tools; a text says why the call cannot be taken without them."""
        try:
            await tools.open()
        except OutgoingFailed as error:
            return str(error)
        return None

    async def _answer(self) -> None:
        ari = self._services.ari
        await ari.continue_in_dialplan(self.channel, ANSWER_CONTEXT, ANSWER_EXTENSION)
        self._answered_by_s = self._services.clock() + ANSWERED_WITHIN_S

    async def _start_conversation(self) -> None:
        assert self._dialogue is not None
        await self._services.ari.add_to_bridge(
            bridge_of(self.id), self.channel, media_channel_of(self.id)
        )
        self.answered_s = self._services.clock()
        self._dialogue.answered()
        self._leg.connect(self._peer, self._services.pacer, self.id)
        assert self._route is not None
        rejection = self._route.rejection
        self._record.answered(conversation=rejection is None)
        self.line.answered(self._dialogue)
        if rejection is not None:
            self._dialogue.control(EndCall(rejection))
        log.info("answered")

    async def _rejoin(self, command: Command) -> None:
        """Have the caller, whom the PBX took out of the bridge, hear us again."""
        assert self._dialogue is not None
        await self._services.ari.add_to_bridge(bridge_of(self.id), self.channel)
        if command is Command.SAY_TIME_IS_UP:
            self._dialogue.time_is_up()
        else:
            log.warning("the PBX had not heard of us in time; the call goes on")
            self.line.back()

    def _talked(self, task: asyncio.Task[Ending]) -> None:
        """Take the end of the dialogue: without this a fault in it would leave dead air."""
        if task.cancelled():
            return
        if fault := task.exception():
            log.error("the dialogue failed", exc_info=fault)
            self.runner.post(Failed(f"the dialogue failed: {type(fault).__name__}"))
        else:
            ending = task.result()
            self.runner.post(ConversationEnded(ending.reason, ending.error))

    def _hear(self, frame: bytes, now_s: float) -> None:
        if self._dialogue is not None and self.answered_s is not None:
            self._dialogue.hear(self.line.heard(frame), now_s)

    async def _stop_conversation(self) -> None:
        if self._dialogue is not None:
            self._dialogue.stop_listening()
        await self._asking.stop()
        if self.transfers is not None:
            await self.transfers.stop()
        await self.line.stop()
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait((self._talking,))
        if self._tools is not None:
            await self._tools.close()

    async def _release(self, *, caller_left: bool = False) -> None:
        """Undo everything in Asterisk, whatever of it exists, and let the sockets go."""
        outcome = self.runner.outcome
        cause = outcome.cause if outcome else 16
        ari = self._services.ari
        self._services.pacer.remove(self.id)
        try:
            requests = [
                lambda: ari.hang_up(media_channel_of(self.id)),
                lambda: ari.destroy_bridge(bridge_of(self.id)),
                self.legs.close,
            ]
            if self.transfers is not None:
                requests.append(self.transfers.let_go)
            if not caller_left:
                requests.append(lambda: ari.hang_up(self.channel, cause))
            await asyncio.gather(*map(regardless, requests))
        finally:
            self._leg.close()
            self.runner.post(Released())

    async def _close_record(self) -> None:
        """Write how it ended: where the PBX minded it alone, the PBX knows."""
        self._record.open(self._route)
        outcome = self.runner.outcome or Outcome(CallStatus.FAILED, EndReason.ERROR)
        at = self._services.wall_clock()
        if (alone := await self.line.ended_alone()) is not None:
            at = alone.at
            outcome = alone.outcome(outcome.cause)
        self._record.close(outcome, self._leg.facts(), at)
        log.info("ended: %s, %s, cause %d", outcome.status, outcome.reason, outcome.cause)
