"""`/calls/{id}/control`: what is told to a live call reaches the controller that owns it."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import ClassVar

import asyncpg

from api.endpoints import Endpoints
from api.parts import Asked
from api.resources.call_control_bodies import ControlBody
from api.views import View
from db.calls import get_call
from db.commands import Withdrawn, send, take_place, withdraw
from db.outbound_legs import take_leg
from db.outbound_requests import cancel_untaken
from db.pool import UNAVAILABLE
from db.transfers import find_line
from sovereign_ari.domain.control import Cancel, CommandOutcome, ControlCommand, Transfer
from sovereign_ari.domain.ids import CallId, direction_of
from sovereign_ari.domain.public_hosts import is_public
from sovereign_ari.domain.transfer import Unreachable, dial, refer_to
from sovereign_ari.errors import Conflict, Impossible, InvalidRequest, RateLimited

COMMANDS_PER_CALL = 10
PERIOD = timedelta(seconds=60)
ANSWERED_WITHIN_S = 2.0
IN_PROGRESS = "in-progress"
UNANSWERED = ("connecting", "ringing")
TAKEN_PAUSES_S = (0.02, 0.05, 0.1, 0.3)
"""Between a controller's word that a call is its own and the moment at which it knows the call."""
SENT = "Command sent successfully"

call_control = Endpoints("Calls")


class CommandSent(View):
    """The call has taken the command."""

    example: ClassVar = {"success": True, "message": SENT}

    success: bool = True
    message: str = SENT


@call_control.add(
    "POST",
    "/calls/{call_id}/control",
    "Tell a live call what to do",
    scope="calls",
    detached=True,
    also=(409, 422),
)
async def control_call(asked: Asked, call_id: str, body: ControlBody) -> CommandSent:
    """The call must be `in-progress`, and takes ten commands in any 60 seconds, one by one.

    `say` cuts what the assistant says, and waits for a caller who speaks; with `end_after` it is
    the last word. `inject-context` tells the model; with `trigger_response` the assistant speaks
    at once. `end-call` ends the call, after its `message` was heard. `transfer` puts the caller
    through once its `message` was heard; when that fails the assistant is told why, and speaks
    about it; a transfer that leaves the platform is an outgoing call of the organisation too. One
    transfer at a time: while one is under way another is answered with `transfer_under_way`, and
    neither it nor its `message` is heard. `cancel` is the one command for a call that is not
    `in-progress` yet: it gives up an outgoing call that nobody has answered. The answer comes
    when the call has taken the command, at once as a rule. When it is not taken within two seconds
    it is withdrawn and answered with `call_not_answering`.
    """
    return await _tell(asked, call_id, body.root.command())


async def _fault(
    asked: Asked, connection: asyncpg.Connection, call_id: str, wanted: ControlCommand
) -> str | None:
    """Why the controller of a call would refuse a transfer."""
    if not isinstance(wanted, Transfer):
        return None
    line = await find_line(connection, asked.organisation_id, wanted.destination, call_id=call_id)
    allows = asked.parts.outgoing.allows
    line = replace(line, may_reach=lambda host: is_public(host) or allows(host))
    try:
        if wanted.mode == "refer":
            refer_to(wanted.destination, line)
        else:
            dial(wanted.destination, line, hops=0)
            if not line.is_ours:  # its controller has it counted under its own name
                await take_leg(connection, asked.organisation_id, call_id, "")
    except Unreachable as why:
        return str(why)
    return None


async def _tell(asked: Asked, call_id: str, command: ControlCommand) -> CommandSent:
    """Send a command and say what became of it."""
    fate = await _deliver(asked, call_id, command)
    for pause_s in TAKEN_PAUSES_S if isinstance(command, Cancel) else ():
        if fate.outcome is not CommandOutcome.NOT_ACTIVE:
            break
        await asyncio.sleep(pause_s)
        fate = await _deliver(asked, call_id, command, again=True)
    return _read(call_id, fate)


async def _deliver(
    asked: Asked, call_id: str, command: ControlCommand, *, again: bool = False
) -> Withdrawn:
    with ExitStack() as stack:
        async with asked.tenant() as connection:
            find = _find_again if again else _admit
            controller = await find(asked, connection, call_id, command)
            if not controller:
                untaken = await cancel_untaken(connection, asked.organisation_id, call_id)
                outcome = CommandOutcome.DONE if untaken else CommandOutcome.NOT_ACTIVE
                return Withdrawn(taken=True, outcome=outcome)
            fault = await _fault(asked, connection, call_id, command)
            command_id = answer = None
            if fault is None:
                command_id = await send(
                    connection, asked.organisation_id, call_id, controller, command
                )
                answer = stack.enter_context(asked.parts.answers.expected(command_id))
        if command_id is None or answer is None:  # and yet it counts
            raise Impossible(fault or "", code="transfer_unavailable", param="destination")
        await asyncio.wait((answer,), timeout=ANSWERED_WITHIN_S)
    if answer.done():
        with suppress(*UNAVAILABLE):  # the row goes later, and what we know is true
            await _withdraw(asked, command_id)
        return Withdrawn(taken=True, outcome=answer.result())
    return await _withdraw(asked, command_id)


async def _find_again(
    asked: Asked, connection: asyncpg.Connection, call_id: str, command: ControlCommand
) -> str:
    """Name the controller of the call by now: the command has its place in the window."""
    call = await get_call(connection, asked.organisation_id, call_id)
    _check_fits(call_id, command, call.status)
    return call.controller


async def _admit(
    asked: Asked, connection: asyncpg.Connection, call_id: str, command: ControlCommand
) -> str:
    """Take a place in the window of the call, and name its controller.

    Nobody has a call that is to be cancelled and that no controller has taken.
    """
    fitting = UNANSWERED if isinstance(command, Cancel) else (IN_PROGRESS,)
    place = await take_place(
        connection,
        asked.organisation_id,
        call_id,
        fitting=fitting,
        allowed=COMMANDS_PER_CALL,
        period=PERIOD,
    )
    _check_fits(call_id, command, place.status)
    if not place.granted:
        wait_s = max(1, ceil((place.frees_at - place.now).total_seconds()))
        raise RateLimited(
            f"Too many commands to this call. Please retry after {wait_s} seconds.",
            retry_after_s=wait_s,
        )
    return place.controller


def _check_fits(call_id: str, command: ControlCommand, status: str) -> None:
    if (why := _unfit(CallId(call_id), command, status)) is not None:
        raise InvalidRequest(f"the call {call_id} {why}")


def _unfit(call: CallId, command: ControlCommand, status: str) -> str | None:
    """Why a call does not take a command."""
    placed = direction_of(call) == "outbound"
    if isinstance(command, Cancel):
        if not placed:
            return "cannot be cancelled: it is not an outgoing one"
        why = "; end-call ends it" if status == IN_PROGRESS else ""
        return None if status in UNANSWERED else f"cannot be cancelled: it is {status}{why}"
    if status == IN_PROGRESS:
        return None
    how = "; cancel gives it up" if placed and status in UNANSWERED else ""
    return f"is not in progress: it is {status}{how}"


async def _withdraw(asked: Asked, command_id: int) -> Withdrawn:
    async with asked.tenant() as connection:
        return await withdraw(connection, asked.organisation_id, command_id)


def _read(call_id: str, fate: Withdrawn) -> CommandSent:
    """Say what became of a command."""
    if fate.outcome is CommandOutcome.DONE:
        return CommandSent()
    if fate.outcome is CommandOutcome.NOT_ACTIVE:
        raise InvalidRequest(f"the call {call_id} is not in progress any more: it is ending")
    if fate.outcome is CommandOutcome.TRANSFER_UNDER_WAY:
        why = f"the caller of {call_id} is being put through already; nothing was done"
        raise Conflict(why, code="transfer_under_way")
    if fate.outcome is CommandOutcome.NOT_UNDERSTOOD:
        why = "its controller runs another release, which does not know this command"
    elif fate.taken:
        why = "it took the command and did not say what became of it; it may have been done"
    else:
        why = f"it took no command for {ANSWERED_WITHIN_S:g} seconds; nothing was done"
    raise Impossible(f"the call {call_id} does not answer: {why}", code="call_not_answering")
