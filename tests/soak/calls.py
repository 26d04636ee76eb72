"""The calls of a soak: races of `tests.support.races`, odd telephones, those that get nowhere."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.soak.excuses import GREETING, SIGNALLING, TALK, Part
from tests.support.hall import Hall, Missed, new_number, until
from tests.support.races import ENDS_WITHIN_S, MATRIX, Side, Step, race, went_as_expected
from tests.support.sip_call import Call
from tests.support.sip_callee import Refuses
from tests.support.sip_caller import Line, NetworkFaults, SipCaller
from tests.support.sip_outcome import CallRejected
from tests.support.sip_session import audio_offer
from tests.support.tone_code import encode

TORN = b"v=0\r\no=tester 1 1 IN IP4 127.0.0.1\r\ns=call\r\nm=audio notaport RTP"
NO_AUDIO = b"v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=call\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
UNKNOWN = "+31209999999"
CANCELLED_WITHIN_S = 0.5
ANSWERED_WITHIN_S = 10.0
HEARD_WITHIN_S = 15.0
SAYS_IT_SO_OFTEN = 3
REPLIES_WITHIN_S = 6.0
PLAIN_SHARE = 0.4
BAD_LINE = NetworkFaults(loss=0.08, jitter_ms=60, reorder=0.05)
KEYS = "12#"
GARBAGE = 60

Having = Callable[[Hall], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call.

    Attributes:
        name: For the report.
        needs: What it needs to go well.
        have: Has one, to its end.
    """

    name: str
    needs: frozenset[Part]
    have: Having


def any_kind(chance: random.Random) -> Kind:
    """Choose."""
    return chance.choice(PLAIN if chance.random() < PLAIN_SHARE else RACES)


def _races() -> Iterator[Kind]:
    for step, side in MATRIX:
        needs = TALK
        if step in (Step.RINGING, Step.THEY_RING):
            needs = SIGNALLING
        elif step in (Step.GREETING, Step.THEY_ANSWERED):
            needs = GREETING
        yield Kind(f"{step.value}, ended by {side.value}", needs, _race(step, side))


def _race(step: Step, side: Side) -> Having:
    async def have(hall: Hall) -> None:
        row = await race(hall, step, side)
        if not went_as_expected(row, step, side):
            raise Missed(f"ended as {dict(row)}")

    return have


@asynccontextmanager
async def _calling(
    hall: Hall, codecs: tuple[str, ...] = ("ulaw",), line: Line | None = None
) -> AsyncIterator[tuple[str, Call]]:
    """Call, and see that the row ends when the call does."""
    who = new_number()
    async with (
        SipCaller(hall.platform.sip, user=who) as phone,
        phone.call(hall.number, codecs, line) as call,
    ):
        await call.answered(ANSWERED_WITHIN_S)
        yield who, call
        await call.hang_up()
        row = await until("the row ended", lambda: hall.has_ended(who), ENDS_WITHIN_S)
        if (row["status"], row["end_reason"]) != ("ended", "user_hangup"):
            raise Missed(f"ended as {dict(row)}")


async def _greeted(call: Call) -> None:
    await call.heard.wait_for_audio(call.answered_at_s, HEARD_WITHIN_S)
    await call.heard.wait_for_silence(0.3, HEARD_WITHIN_S)


async def _replied(call: Call) -> None:
    """Say something until there is a reply."""
    for _ in range(SAYS_IT_SO_OFTEN):
        spoken_s = await call.say(encode("hello", 8000))
        try:
            await call.heard.wait_for_audio(spoken_s, REPLIES_WITHIN_S)
        except (TimeoutError, AssertionError):
            continue
        return
    raise Missed("no reply")


def _talk(codec: str, line: Line | None = None) -> Having:
    async def have(hall: Hall) -> None:
        async with _calling(hall, (codec,), line) as (_, call):
            await _greeted(call)
            await _replied(call)

    return have


async def _noted(hall: Hall, who: str, kind: str, count: int) -> None:
    """Wait until the timeline of a call has so many notes of a kind."""

    async def found() -> bool:
        noted = await hall.look(
            "SELECT count(*) AS count FROM call_notes n JOIN calls c ON c.id = n.call_id"
            " WHERE c.their_number = $1 AND n.kind = $2",
            who,
            kind,
        )
        return bool(noted["count"] == count)

    await until(f"{count} notes {kind} of {who}", found, ENDS_WITHIN_S)


async def _on_hold(hall: Hall) -> None:
    """Hold the call twice, come back, and talk."""
    async with _calling(hall) as (who, call):
        await _greeted(call)
        offer = audio_offer("127.0.0.1", call.rtp.port, ("ulaw",), 1)
        for way in (b"a=sendonly", b"a=inactive"):
            held = await call.reinvite(offer.replace(b"a=sendrecv", way))
            await asyncio.sleep(hall.chance.uniform(0, 1))
            back = await call.reinvite(offer)
            if (held, back) != (200, 200):
                raise Missed(f"holding was answered {held}, coming back {back}")
        await _replied(call)
        await _noted(hall, who, "hold", 4)


async def _keys(hall: Hall) -> None:
    """Press keys, during the greeting or behind it."""
    async with _calling(hall) as (who, call):
        if hall.chance.random() < 0.5:
            await _greeted(call)
        await call.press(KEYS)
        await _noted(hall, who, "dtmf", len(KEYS))


async def _garbage(hall: Hall) -> None:
    """Send what is no RTP, and a stream that begins anew, and talk."""
    async with _calling(hall) as (_, call):
        await _greeted(call)
        call.rtp.send_garbage(GARBAGE, seed=hall.chance.randrange(10**6))
        call.sender.change_ssrc()
        await _replied(call)


async def _interrupting(hall: Hall) -> None:
    """Talk over the greeting."""
    async with _calling(hall) as (_, call):
        await call.say(encode("hello", 8000))
        await _greeted(call)


async def _cancelled(hall: Hall) -> None:
    """Take a call back at any moment before its answer, or just behind it."""
    async with SipCaller(hall.platform.sip, user=new_number()) as phone:
        async with phone.call(hall.number) as call:
            await asyncio.sleep(hall.chance.uniform(0, CANCELLED_WITHIN_S))
            await call.hang_up()


async def _abandoned(hall: Hall) -> None:
    """Hang up at any moment of a greeting."""
    async with _calling(hall):
        await asyncio.sleep(hall.chance.uniform(0, 1.0))


def _turned_down(status: int, *reasons: str) -> Having:
    """Call somebody who says no."""

    async def have(hall: Hall) -> None:
        who, row = new_number(), None
        hall.plans[who] = Refuses(status, after_s=hall.chance.uniform(0, 0.5))
        try:
            await hall.place(who)
            row = await until("the row ended", lambda: hall.has_ended(who), ENDS_WITHIN_S)
            if row["status"] != "failed" or row["end_reason"] not in reasons:
                raise Missed(f"ended as {dict(row)}")
        finally:
            hall.forget(who, row and row["id"])

    return have


def _refused(
    number: str | None, line: Line | None, codecs: tuple[str, ...], *status: int
) -> Having:
    async def have(hall: Hall) -> None:
        async with SipCaller(hall.platform.sip, user=new_number()) as phone:
            async with phone.call(number or hall.number, codecs, line) as call:
                try:
                    await call.answered(ANSWERED_WITHIN_S)
                except CallRejected as refusal:
                    if refusal.status in status:
                        return
                    raise
                raise Missed(f"answered, instead of {status}")

    return have


RACES = tuple(_races())
PLAIN = (
    Kind("taken back", SIGNALLING, _cancelled),
    Kind("abandoned in the greeting", GREETING, _abandoned),
    Kind("torn SDP", SIGNALLING, _refused(None, Line(offer=TORN), ("ulaw",), 400, 488)),
    Kind(
        "SDP without audio", SIGNALLING, _refused(None, Line(offer=NO_AUDIO), ("ulaw",), 400, 488)
    ),
    Kind("unknown codec", SIGNALLING, _refused(None, None, ("gsm",), 488)),
    Kind("unknown number", SIGNALLING, _refused(UNKNOWN, None, ("ulaw",), 404)),
    Kind("they are busy", SIGNALLING, _turned_down(486, "busy")),
    Kind("they decline", SIGNALLING, _turned_down(603, "declined")),
    Kind("nobody has their number", SIGNALLING, _turned_down(404, "unreachable")),
    Kind("talking in alaw", TALK, _talk("alaw")),
    Kind("talking in G.722", TALK, _talk("g722")),
    Kind("talking on a bad line", TALK, _talk("ulaw", Line(faults=BAD_LINE))),
    Kind("talking on a line with gaps", TALK, _talk("ulaw", Line(dtx=True))),
    Kind("garbage instead of RTP", TALK, _garbage),
    Kind("talking over the greeting", TALK, _interrupting),
    Kind("held and resumed", TALK, _on_hold),
    Kind("keys are pressed", TALK, _keys),
)
