"""Accepts calls, tells each call what Asterisk says about it, and keeps calls from each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from structlog.contextvars import bound_contextvars

from sovereign_ari.control.adoption import Adopter
from sovereign_ari.control.call_record import Invitation
from sovereign_ari.control.live_call import LiveCall
from sovereign_ari.control.outbound_call import OutboundCall, give_up, refuse
from sovereign_ari.control.ports import CallServices
from sovereign_ari.control.referrals import begin_anew, decline
from sovereign_ari.control.runner import COMMAND_TIMEOUT_S
from sovereign_ari.control.sweep import MEDIA_LOST, Sweep
from sovereign_ari.domain.call import (
    CONGESTION,
    NORMAL_CLEARING,
    RTP_TIMEOUT,
    Answered,
    CallEvent,
    CallState,
    Entered,
    Failed,
    HungUp,
    Placed,
    Stopped,
    TimedOut,
)
from sovereign_ari.domain.control import CommandOutcome, ControlCommand
from sovereign_ari.domain.dialplan import (
    ANSWER_CONTEXT,
    ARGUMENT_ANSWERED,
    ARGUMENT_BACK,
    ARGUMENT_INBOUND,
    ARGUMENT_MEDIA,
    ARGUMENT_TIMEOUT,
    REFER_AGREED,
    UNKNOWN_EXTENSION,
)
from sovereign_ari.domain.ids import CallId, ChannelId, call_id, call_of, media_channel_of
from sovereign_ari.domain.numbers import caller_number, dialled_number
from sovereign_ari.domain.outbound import PlacedCall
from sovereign_ari.errors import CallOverloaded, SovereignError
from sovereign_ari.media.pcm import BY_CODEC
from sovereign_ari.wire.ari_messages import (
    ApplicationReplaced,
    AriEvent,
    ChannelDestroyed,
    ChannelDtmfReceived,
    ChannelHangupRequest,
    ChannelHold,
    ChannelTalkingFinished,
    ChannelTalkingStarted,
    ChannelTransfer,
    ChannelUnhold,
    StasisStart,
)

CAPACITY = 100  # calls at one time
TICK_S = 0.04
STOP_WITHIN_S = 8.0
UNKNOWN_CODEC_CAUSE = 79  # Q.850: service or option not implemented; SIP 501

log = logging.getLogger(__name__)


class Controller:
    """All live calls of one process.

    Args:
        services: What the calls share.
    """

    def __init__(self, services: CallServices) -> None:
        self._services = services
        self._group: asyncio.TaskGroup | None = None
        self._calls: dict[CallId, LiveCall] = {}
        self._by_channel: dict[str, LiveCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._adopter = Adopter(services, self._begin, lambda: not self._draining)
        self._sweep = Sweep(services, self._calls, self._adopter, self._tell)

    @property
    def calls(self) -> list[LiveCall]:
        """Every call that Asterisk may hold something of."""
        return list(self._calls.values())

    def call_ids(self) -> list[CallId]:
        """Name every call in `calls`."""
        return list(self._calls)

    @property
    def draining(self) -> bool:
        """Whether new calls are refused."""
        return self._draining

    def post(self, event: AriEvent) -> None:
        """Route one event of Asterisk. Never waits."""
        if isinstance(event, ChannelTransfer):
            self._start(decline(self._services.ari, event), "decline")
        elif not self._is_of_a_leg(event):
            self._route(event)

    def _route(self, event: AriEvent) -> None:
        match event:
            case StasisStart():
                self._on_started(event)
            case ChannelHangupRequest(channel=channel) as asked:
                cause = RTP_TIMEOUT if asked.by_timeout else asked.q850 or NORMAL_CLEARING
                self._on_gone(channel.id, cause, by_pbx=asked.by_timeout or asked.by_order)
            case ChannelDestroyed(channel=channel, cause=cause):
                self._on_gone(channel.id, cause)
            case ChannelTalkingStarted(channel=channel) | ChannelTalkingFinished(channel=channel):
                if call := self._by_channel.get(channel.id):
                    loud = isinstance(event, ChannelTalkingStarted)
                    call.line.talking(loud, self._services.clock())
            case ChannelHold(channel=channel) | ChannelUnhold(channel=channel):
                if call := self._by_channel.get(channel.id):
                    call.line.hold(isinstance(event, ChannelHold))
            case ChannelDtmfReceived(channel=channel, digit=digit, duration_ms=duration_ms):
                if call := self._by_channel.get(channel.id):
                    call.line.pressed(self._services.clock())
                    call.note("dtmf", {"digit": digit, "duration_ms": duration_ms})
            case _:
                pass

    def _is_of_a_leg(self, event: AriEvent) -> bool:
        """Whether it was about a further channel of a call, which has it now."""
        if isinstance(event, ApplicationReplaced):
            return False
        owner = call_of(event.channel.id)
        call = self._calls.get(owner) if owner is not None else None
        return call is not None and call.legs.post(event.channel.id, event)

    async def recover(self) -> None:
        """Have our calls compared with what Asterisk has: after each connect, events were missed.

        Does not wait for it, for events are not read before this returns.
        """
        self._sweep.connected.set()

    async def run(self) -> None:
        """Own every call, and let time pass for it, until cancelled. Runs before events come."""
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._sweep.run(), name="sweep")
            await self._tick()

    async def _tick(self) -> None:
        while True:
            now_s = self._services.clock()
            for call in self.calls:
                self._tick_one(call, now_s)
            await asyncio.sleep(TICK_S)

    def _tick_one(self, call: LiveCall, now_s: float) -> None:
        try:
            call.tick(now_s)
        except Exception as fault:  # one call must not end the others
            log.exception("a call failed in its tick")
            self._tell(call, Failed(f"{type(fault).__name__}: {fault}"))

    def control(self, call_id: CallId, command: ControlCommand) -> CommandOutcome:
        """Do what a client of the API tells a call. Never waits."""
        call = self._calls.get(call_id)
        if call is None:
            return CommandOutcome.NOT_ACTIVE
        try:
            return call.control(command)
        except Exception as fault:  # one call must not end the others
            log.exception("a call failed in a command")
            self._tell(call, Failed(f"{type(fault).__name__}: {fault}"))
            return CommandOutcome.NOT_ACTIVE

    async def drain(self, timeout_s: float) -> None:
        """Refuse new calls, let the live ones finish, and end those that do not in time."""
        self._draining = True
        if self._tasks:
            log.info("draining %d calls", len(self._tasks))
            await asyncio.wait(set(self._tasks), timeout=timeout_s)
        for call in self.calls:
            self._tell(call, Stopped())
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=STOP_WITHIN_S)

    def _on_started(self, started: StasisStart) -> None:
        channel, old = ChannelId(started.channel.id), started.replace_channel
        if old is not None and (replaced := self._by_channel.get(old.id)):
            self._start(begin_anew(self._services.ari, channel, replaced.dialled), "begin anew")
            self._on_gone(old.id, NORMAL_CLEARING)  # by its own wish, which no later event says
            return
        role, *rest = started.args or ("",)
        self._on_entered(channel, role, rest)

    def _on_entered(self, channel: ChannelId, role: str, rest: list[str]) -> None:
        match role:
            case x if x == ARGUMENT_INBOUND and len(rest) >= 4:
                self._accept(channel, rest)
            case x if x == ARGUMENT_MEDIA:
                self._on_leg_entered(channel)
            case x if x == ARGUMENT_BACK:
                call = self._by_channel.get(channel)
                if call is None:
                    done = rest[:1] == [REFER_AGREED]
                    adopt = self._adopter.agreed if done else self._adopter.take
                    self._start(adopt(channel), "adopt")
                elif call.transfers is None or not call.transfers.came_back(rest):
                    self._start(self._send_away(channel), "send away")
            case x if x in (ARGUMENT_ANSWERED, ARGUMENT_TIMEOUT):
                if call := self._by_channel.get(channel):
                    over = TimedOut(call.line.longest_is_over)
                    self._tell(call, Answered() if role == ARGUMENT_ANSWERED else over)
                else:
                    self._start(self._adopter.take(channel), "adopt")
            case _:
                log.warning("a channel came with an unknown role: %.32s", role)
                self._refuse(channel, CONGESTION)

    def _on_leg_entered(self, channel: ChannelId) -> None:
        owner = call_of(channel)
        call = self._calls.get(owner) if owner is not None else None
        if call is None or call.runner.state in (CallState.ENDING, CallState.ENDED):
            self._refuse(channel, NORMAL_CLEARING)  # made after we had given it up
        else:
            call.media_entered.set()

    def _accept(self, channel: ChannelId, rest: list[str]) -> None:
        dialled, codec, caller, presentation = rest[:4]
        if self._draining:
            self._refuse(channel, CONGESTION)
            return
        if codec not in BY_CODEC:
            log.warning("a call came with the codec %.16s", codec)
            self._refuse(channel, UNKNOWN_CODEC_CAUSE)
            return
        services = self._services
        now = services.wall_clock()
        new_id = call_id("inbound", int(now.timestamp() * 1000), services.entropy())
        dialled = dialled_number(dialled, services.country, bare="".join(rest[5:6]) == "1")
        number = caller_number(caller, presentation, services.country)
        invitation = Invitation(channel, dialled, codec, number, "".join(rest[4:5]))
        self._begin(LiveCall(new_id, invitation, services), Entered())

    @property
    def room(self) -> int:
        """How many more calls we may place now: callers of others find theirs anyway."""
        return 0 if self._draining else max(0, CAPACITY - len(self._calls))

    def place(self, placed: PlacedCall) -> None:
        """Call somebody, or write down why not. Never waits."""
        if placed.cancelled:
            give_up(placed, self._services)
        elif placed.refusal is None:
            self._begin(OutboundCall(placed, self._services), Placed())
        else:
            refuse(placed, placed.refusal, self._services)

    def _begin(self, call: LiveCall, event: CallEvent) -> None:
        self._calls[call.id] = self._by_channel[call.channel] = call
        self._start(self._supervise(call), f"call {call.id}")
        self._tell(call, event)

    async def _supervise(self, call: LiveCall) -> None:
        """Run one call; its faults end it and nothing else."""
        with bound_contextvars(call_id=call.id):
            try:
                await call.runner.run()
            except Exception as fault:  # one call must not end the others
                log.exception("a call failed")
                await self._abandon(call, f"{type(fault).__name__}: {fault}")
            finally:
                self._calls.pop(call.id, None)
                self._by_channel.pop(call.channel, None)
                self._sweep.over(call.id)

    async def _abandon(self, call: LiveCall, why: str) -> None:
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                await call.abandon(why)
        except Exception:  # the sweep finds what is left
            log.exception("a call that failed could not be cleaned up")

    def _on_gone(self, channel: str, cause: int, *, by_pbx: bool = False) -> None:
        if (call := self._by_channel.get(channel)) and not call.has_line:
            return  # of the address that was tried before
        if call:
            agreed = None if by_pbx or call.transfers is None else call.transfers.left()
            self._tell(call, agreed or HungUp(cause, by_pbx))
            return
        owner = call_of(channel)
        if owner is not None and (call := self._calls.get(owner)):
            lost = channel == media_channel_of(owner) and call.media_entered.is_set()
            if lost and call.runner.state is not CallState.ENDING:
                self._tell(call, Failed(MEDIA_LOST))

    def _tell(self, call: LiveCall, event: CallEvent) -> None:
        try:
            call.runner.post(event)
        except CallOverloaded:
            log.exception("a call does not keep up and is hung up")
            self._refuse(call.channel, CONGESTION)

    def _refuse(self, channel: ChannelId, cause: int) -> None:
        """Hang a channel up that is no call of ours."""
        self._start(self._hang_up(channel, cause), "refuse")

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        assert self._group is not None, "events come while `run` runs"
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_away(self, channel: ChannelId) -> None:
        """Have the PBX say goodbye to a caller of our last life, and note how that call ended."""
        ari = self._services.ari
        try:
            await ari.continue_in_dialplan(channel, ANSWER_CONTEXT, UNKNOWN_EXTENSION)
        except SovereignError as error:
            log.warning("could not send a caller away: %s", error)
            await self._hang_up(channel, CONGESTION)

    async def _hang_up(self, channel: ChannelId, cause: int) -> None:
        try:
            await self._services.ari.hang_up(channel, cause)
        except SovereignError as error:
            log.warning("could not hang a channel up: %s", error)
