"""The calls of a soak: races of `tests.support.races`, and those that never get so far."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.soak.disturbances import Disturbances
from tests.support.hall import Hall, Missed, new_number
from tests.support.races import MATRIX, race
from tests.support.sip_caller import Line, SipCaller
from tests.support.sip_outcome import CallRejected

TORN = b"v=0\r\no=tester 1 1 IN IP4 127.0.0.1\r\ns=call\r\nm=audio notaport RTP"
NO_AUDIO = b"v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=call\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
UNKNOWN = "+31209999999"
CANCELLED_WITHIN_S = 0.5
ANSWERED_WITHIN_S = 10.0
PLAIN_SHARE = 0.3

Kind = Callable[[Hall], Awaitable[None]]


@dataclass
class Tally:
    """What became of the calls.

    Attributes:
        begun: So many.
        ended: By kind.
        suffered: Those that went wrong while something was being disturbed.
        failed: Those that went wrong for no such reason, with what happened.
    """

    begun: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    suffered: int = 0
    failed: list[str] = field(default_factory=list)


async def have_one(hall: Hall, disturbances: Disturbances, tally: Tally) -> None:
    """Have one call of a random kind, and write down what became of it."""
    tally.begun += 1
    if hall.chance.random() < PLAIN_SHARE:
        name, kind = hall.chance.choice(_PLAIN)
    else:
        step, side = hall.chance.choice(MATRIX)
        name = f"{step.value}, ended by {side.value}"

        async def kind(hall: Hall) -> None:
            await race(hall, step, side)

    suffers = disturbances.lately
    try:
        await kind(hall)
    except (Missed, CallRejected, TimeoutError, AssertionError, OSError) as fault:
        if suffers or disturbances.lately:
            tally.suffered += 1
        else:
            tally.failed.append(f"{name}: {type(fault).__name__}: {fault}")
    tally.ended[name] += 1


async def _cancelled(hall: Hall) -> None:
    """Take a call back at any moment before its answer, or just behind it."""
    async with SipCaller(hall.platform.sip, user=new_number()) as phone:
        async with phone.call(hall.number) as call:
            await asyncio.sleep(hall.chance.uniform(0, CANCELLED_WITHIN_S))
            await call.hang_up()


async def _abandoned(hall: Hall) -> None:
    """Hang up at any moment of a greeting."""
    async with SipCaller(hall.platform.sip, user=new_number()) as phone:
        async with phone.call(hall.number) as call:
            await call.answered(ANSWERED_WITHIN_S)
            await asyncio.sleep(hall.chance.uniform(0, 1.0))


def _refused(number: str | None, line: Line | None, codecs: tuple[str, ...], *status: int) -> Kind:
    async def kind(hall: Hall) -> None:
        async with SipCaller(hall.platform.sip, user=new_number()) as phone:
            async with phone.call(number or hall.number, codecs, line) as call:
                try:
                    await call.answered(ANSWERED_WITHIN_S)
                except CallRejected as refusal:
                    if refusal.status in status:
                        return
                    raise
                raise Missed(f"answered, instead of {status}")

    return kind


_PLAIN: tuple[tuple[str, Kind], ...] = (
    ("taken back", _cancelled),
    ("abandoned", _abandoned),
    ("torn SDP", _refused(None, Line(offer=TORN), ("ulaw",), 400, 488)),
    ("SDP without audio", _refused(None, Line(offer=NO_AUDIO), ("ulaw",), 400, 488)),
    ("unknown codec", _refused(None, None, ("gsm",), 488)),
    ("unknown number", _refused(UNKNOWN, None, ("ulaw",), 404)),
)
