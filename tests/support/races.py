"""Calls that are brought to a step of their life, and ended there by one side.

A hang-up meets whatever the product is just doing: what counts is that the call ends on every
side, that its row says so, and that nothing is left of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum
from functools import partial
from typing import Any

from tests.support.hall import Hall, Missed, new_number, until
from tests.support.sip_call import Call
from tests.support.sip_callee import Ringing, rings_for_ever
from tests.support.sip_caller import SipCaller
from tests.support.sip_outcome import CallRejected
from tests.support.tone_code import encode

HAPPENS_WITHIN_S = 15.0
ENDS_WITHIN_S = 15.0
LONGEST_PAUSE_S = 0.3
QUIET_S = 0.3
SAYS_IT_SO_OFTEN = 3
SAYS_IT_AGAIN_AFTER_S = 5.0


class Step(Enum):
    """Where a call is when it ends. The last three are of calls that we place."""

    RINGING = "ringing"
    GREETING = "greeting"
    TALKING = "talking"
    TOOL = "a tool runs"
    TRANSFER_RINGS = "the transfer rings"
    TRANSFERRED = "transferred"
    ASKED = "the human is asked"
    REFERRED = "the caller's side is asked to call elsewhere"
    THEY_RING = "they ring"
    THEY_ANSWERED = "they answered"
    THEY_TALK = "they talk"

    @property
    def placed(self) -> bool:
        """Whether the call is one that we place."""
        return self in (Step.THEY_RING, Step.THEY_ANSWERED, Step.THEY_TALK)


class Side(Enum):
    """Who ends it. `HUMAN` is whom the caller is put through to."""

    PHONE = "the telephone"
    MODEL = "the model"
    OPERATOR = "the operator"
    API = "the API"
    HUMAN = "the human"


_ALWAYS = (Side.PHONE, Side.OPERATOR)
_TALKING = (*_ALWAYS, Side.MODEL, Side.API)
_SIDES = {
    Step.RINGING: _ALWAYS,
    Step.GREETING: (*_ALWAYS, Side.API),
    Step.TALKING: _TALKING,
    Step.TOOL: _TALKING,
    Step.TRANSFER_RINGS: (*_ALWAYS, Side.API, Side.HUMAN),
    Step.TRANSFERRED: (*_ALWAYS, Side.HUMAN),
    Step.ASKED: (*_ALWAYS, Side.API, Side.HUMAN),
    Step.REFERRED: (*_ALWAYS, Side.API),
    Step.THEY_RING: _ALWAYS,
    Step.THEY_ANSWERED: (*_ALWAYS, Side.API),
    Step.THEY_TALK: _TALKING,
}
MATRIX = tuple((step, side) for step, sides in _SIDES.items() for side in sides)

_WORDS = {
    Step.TOOL: "tool",
    Step.TRANSFER_RINGS: "through",
    Step.TRANSFERRED: "through",
    Step.ASKED: "asked",
    Step.REFERRED: "elsewhere",
}


class _Party:
    """The telephone at the other side of one call, whoever called whom."""

    def __init__(self, hall: Hall, who: str) -> None:
        self.hall = hall
        self.who = who

    @property
    def phone(self) -> Call | Ringing:
        """The telephone's call."""
        raise NotImplementedError

    async def answered(self) -> None:
        """Wait until somebody has answered."""
        raise NotImplementedError

    async def gone(self) -> None:
        """Wait until the telephone knows that the call is over."""
        raise NotImplementedError

    async def come_to(self, step: Step, *, bye: bool) -> None:
        """Bring the call to a step; with `bye` the model hangs up then."""
        await self.answered()
        if step in (Step.GREETING, Step.THEY_ANSWERED):
            return
        heard = self.phone.heard
        await heard.wait_for_audio(self.phone.answered_at_s, HAPPENS_WITHIN_S)
        await heard.wait_for_silence(QUIET_S, HAPPENS_WITHIN_S)
        said = _WORDS.get(step, "hello") + (" bye" if bye else "")
        reached = self._reached(step, bye=bye)
        for _ in range(SAYS_IT_SO_OFTEN - 1):
            spoken_s = await self.phone.say(encode(said, 8000))
            with suppress(Missed):
                await until(step.value, partial(reached, spoken_s), SAYS_IT_AGAIN_AFTER_S)
                return
        spoken_s = await self.phone.say(encode(said, 8000))
        await until(step.value, partial(reached, spoken_s), HAPPENS_WITHIN_S)

    def _reached(self, step: Step, *, bye: bool) -> Callable[[float], Awaitable[bool]]:
        """How to tell, at any time after the words, that the step is reached."""
        ways: dict[Step, Callable[[float], Awaitable[bool]]] = {
            Step.TOOL: self._tool_asked,
            Step.TRANSFER_RINGS: self._rang,
            Step.TRANSFERRED: self._joined,
            Step.ASKED: self._briefed,
            Step.REFERRED: self._referred,
        }
        return self._ended if bye and step is not Step.TOOL else ways.get(step, self._replied)

    async def end(self, side: Side) -> None:
        """End it, and wait until the telephone knows."""
        match side:
            case Side.PHONE:
                await self.phone.hang_up()
                return
            case Side.OPERATOR:
                await self.hall.hang_up_by_hand(self.who)
            case Side.API:
                await until("the API ended it", self._ended_by_api, HAPPENS_WITHIN_S)
            case Side.HUMAN if not await self._human_leaves():
                await self.phone.hang_up()
                return
        await self.gone()

    async def human_gone(self) -> None:
        """Wait until whom the caller was put through to knows, too."""
        if (human := self.hall.rung.get(self.who)) is not None:
            await human.ended(ENDS_WITHIN_S)

    async def _tool_asked(self, _spoken_s: float = 0.0) -> bool:
        row = await self.hall.row(self.who)
        return row is not None and row["id"] in self.hall.tools

    async def _rang(self, _spoken_s: float = 0.0) -> bool:
        return self.who in self.hall.rung

    async def _joined(self, _spoken_s: float = 0.0) -> bool:
        row = await self.hall.row(self.who)
        return row is not None and row["status"] == "transferred"

    async def _briefed(self, _spoken_s: float = 0.0) -> bool:
        human = self.hall.rung.get(self.who)
        answered_s = human.answered_at_s if human else 0.0
        return bool(human and answered_s and human.heard.first_audio_after(answered_s))

    async def _referred(self, _spoken_s: float = 0.0) -> bool:
        return any(asked.method == "REFER" for asked in self.phone.requests)

    async def _replied(self, spoken_s: float) -> bool:
        return self.phone.heard.first_audio_after(spoken_s) is not None

    async def _ended(self, _spoken_s: float) -> bool:
        return await self.hall.has_ended(self.who) is not None

    async def _ended_by_api(self) -> bool:
        """Ask until the call is one that can be told something, or is over."""
        if (row := await self.hall.row(self.who)) is None:
            return False
        path, body = f"/calls/{row['id']}/control", {"type": "end-call"}
        answer = await self.hall.api.request("POST", path, body)
        return answer.status == 200 or row["ended_at"] is not None

    async def _human_leaves(self) -> bool:
        """Refuse, or hang up; returns whether the call is over then."""
        human = self.hall.rung[self.who]
        joined = await self._joined()
        if human.answered_at_s:
            await human.hang_up()
        else:
            human.refuse(486, "Busy Here")
        if joined:
            return True
        await self.phone.heard.wait_for_silence(QUIET_S, HAPPENS_WITHIN_S)
        return False


class _Caller(_Party):
    """Somebody who calls us."""

    def __init__(self, hall: Hall, who: str, call: Call) -> None:
        super().__init__(hall, who)
        self._call = call

    @property
    def phone(self) -> Call:
        """See `_Party`."""
        return self._call

    async def come_to(self, step: Step, *, bye: bool) -> None:
        """See `_Party`."""
        if step is not Step.RINGING:
            await super().come_to(step, bye=bye)
            return
        async with asyncio.timeout(HAPPENS_WITHIN_S):
            while not self._call.status_code:  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def answered(self) -> None:
        """See `_Party`."""
        await self._call.answered(HAPPENS_WITHIN_S)

    async def gone(self) -> None:
        """See `_Party`."""
        try:
            await self._call.answered(ENDS_WITHIN_S)
        except CallRejected:
            return
        await self._call.ended(ENDS_WITHIN_S)


class _Called(_Party):
    """Somebody whom we call."""

    @property
    def phone(self) -> Ringing:
        """See `_Party`."""
        return self.hall.rung[self.who]

    async def come_to(self, step: Step, *, bye: bool) -> None:
        """See `_Party`."""
        await until("it rang", self._rang, HAPPENS_WITHIN_S)
        if step is not Step.THEY_RING:
            await super().come_to(step, bye=bye)

    async def answered(self) -> None:
        """See `_Party`."""
        async with asyncio.timeout(HAPPENS_WITHIN_S):
            while not self.phone.answered_at_s:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def gone(self) -> None:
        """See `_Party`."""
        await self.phone.ended(ENDS_WITHIN_S)


@asynccontextmanager
async def _received(hall: Hall, who: str) -> AsyncIterator[_Party]:
    async with (
        SipCaller(hall.platform.sip, user=who) as phone,
        phone.call(hall.number) as call,
    ):
        call.refer_outcome = ""  # it does not say for long what became of it
        yield _Caller(hall, who, call)
        if any(asked.method == "REFER" for asked in call.requests):
            call.tell_what_became_of_it("487 Request Terminated")


@asynccontextmanager
async def _placed(hall: Hall, who: str) -> AsyncIterator[_Party]:
    await hall.place(who)
    yield _Called(hall, who)


async def race(hall: Hall, step: Step, side: Side) -> Any:
    """Have one call, to its end; returns its row.

    Raises:
        Missed: If it does not come to its step, or does not end.
    """
    who = new_number()
    place = _placed if step.placed else _received
    row = None
    if step in (Step.TRANSFER_RINGS, Step.THEY_RING):
        hall.plans[who] = rings_for_ever
    try:
        async with asyncio.timeout(4 * HAPPENS_WITHIN_S), place(hall, who) as party:
            await party.come_to(step, bye=side is Side.MODEL)
            await asyncio.sleep(hall.chance.uniform(0, LONGEST_PAUSE_S))
            await party.end(side)
            await party.human_gone()
            row = await until("the row ended", lambda: hall.has_ended(who), ENDS_WITHIN_S)
    except (Missed, TimeoutError, CallRejected, AssertionError) as fault:
        raise Missed(f"{fault!r}; {await hall.story(who)}") from fault
    finally:
        hall.forget(who, row and row["id"])
    return row


def went_as_expected(row: Any, step: Step, side: Side) -> bool:
    """Whether there stands in the row of a call what one side did to it at a step."""
    how = row["status"], row["end_reason"]
    not_answered = side is Side.OPERATOR and how == ("failed", "error")
    return not_answered or how == _expected(step, side)


def _expected(step: Step, side: Side) -> tuple[str, str]:
    agreed = step is Step.REFERRED and side is Side.PHONE  # for who agrees hangs up
    if step is Step.TRANSFERRED or agreed:
        return "transferred", "transferred"
    if step is Step.THEY_RING:
        return "failed", "error" if side is Side.OPERATOR else "no_answer"
    if side is Side.OPERATOR:
        return "ended-with-error", "error"
    by_us = side in (Side.API, Side.MODEL)
    return "ended", "assistant_hangup" if by_us else "user_hangup"
