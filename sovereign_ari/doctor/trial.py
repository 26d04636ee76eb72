"""A call to the demo from its first ring to its end, and what was measured on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sovereign_ari.doctor.telephone import Telephone

ANSWER_WITHIN_S = 10.0
GREETING_WITHIN_S = 10.0
GREETING_ENDS_WITHIN_S = 45.0
REACTION_WITHIN_S = 10.0
REPLY_ENDS_WITHIN_S = 6.0
_TURN_PAUSE_S = 1.2  # longer than the pause between two spoken sentences


@dataclass(slots=True)
class Trial:
    """What became of the call. Seconds; None for what did not happen.

    Attributes:
        number: What was dialled.
        caller: The calling number, which finds the record of the call.
        answer_s: From dialling to the answer.
        greeting_s: From the answer to the first loud packet.
        talks_on: The greeting did not end in time.
        asked: The question was spoken to its end.
        reaction_s: From the packet with our last loud sample to the first loud packet after it.
        ended_cause: Q.850, when the other side ended the call.
        connected_s: From the answer to the end.
        media: Counts of our receiving side, see `MediaLeg.facts`.
        level_dbfs: Loudness of what was loud.
        clipped_share: Share of its samples at the limit.
    """

    number: str
    caller: str
    answer_s: float | None = None
    greeting_s: float | None = None
    talks_on: bool = False
    asked: bool = False
    reaction_s: float | None = None
    ended_cause: int | None = None
    connected_s: float = 0.0
    media: Mapping[str, float] = field(default_factory=dict)
    level_dbfs: float | None = None
    clipped_share: float = 0.0


async def try_call(phone: Telephone, number: str, question: bytes) -> Trial:
    """Call, listen to the greeting, ask, listen to the answer.

    Args:
        phone: Ours, unused so far.
        number: What to dial.
        question: µ-law that ends with its last loud sample; empty to only listen.

    Raises:
        SovereignError: When the PBX refuses our own side of the call.
    """
    trial = Trial(number, phone.caller)
    await phone.prepare()
    began_s = time.monotonic()
    await phone.dial(number)
    await phone.until(lambda: phone.answered_s is not None, ANSWER_WITHIN_S)
    if phone.answered_s is not None:
        trial.answer_s = phone.answered_s - began_s
        await phone.join()
        await _talk(phone, trial, phone.answered_s, question)
        trial.connected_s = time.monotonic() - phone.answered_s
    trial.ended_cause = phone.ended_cause
    trial.media = phone.leg.facts()
    trial.level_dbfs = phone.hearing.level_dbfs
    trial.clipped_share = phone.hearing.clipped_share
    return trial


async def _talk(phone: Telephone, trial: Trial, answered_s: float, question: bytes) -> None:
    heard_s = await _first_loud(phone, answered_s, GREETING_WITHIN_S)
    if heard_s is not None:
        trial.greeting_s = heard_s - answered_s
        paused = await _pause(phone, GREETING_ENDS_WITHIN_S)
        trial.talks_on = not paused and phone.ended_cause is None
    if phone.ended_cause is not None or not question:
        return
    asked_s = await phone.say(question)
    if asked_s is None:
        return
    trial.asked = True
    heard_s = await _first_loud(phone, asked_s, REACTION_WITHIN_S)
    if heard_s is not None:
        trial.reaction_s = heard_s - asked_s
        await _pause(phone, REPLY_ENDS_WITHIN_S)


async def _first_loud(phone: Telephone, after_s: float, within_s: float) -> float | None:
    hearing = phone.hearing
    await phone.until(lambda: hearing.first_loud_after(after_s) is not None, within_s)
    return hearing.first_loud_after(after_s)


async def _pause(phone: Telephone, within_s: float) -> bool:
    """Wait until the other side falls quiet."""
    return await phone.until(
        lambda: phone.hearing.is_quiet(time.monotonic() - _TURN_PAUSE_S), within_s
    )
