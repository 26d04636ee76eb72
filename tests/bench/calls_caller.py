"""The callers of the bench, in a process of their own: same conversation in every call.

A job (JSON) comes on standard input, the measurements of every call leave on standard output.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field

import numpy as np
import uvloop

from tests.bench.calls_vendor import GREETING_S, REPLY_S, TONE_DBFS
from tests.support.recording import FULL_SCALE, Heard
from tests.support.sip_caller import Call, SipCaller
from tests.support.speech_samples import noise, pcm16, speech

QUESTION = "okay i would like to make an appointment"
OBJECTION = "okay wait i wanted to ask you something else"
CLICK_S = 0.06
_ONSET_DBFS = -30.0
_QUIETER_DB = 10.0
_QUIET_FOR_S = 0.04
_DEADLINE_S = 15.0
_LATE_S = 2.5


@dataclass
class Measured:
    """One call; milliseconds. Lists have one value per occasion."""

    answer_ms: float = 0.0
    greeting_ms: float = 0.0
    voice_to_voice_ms: list[float] = field(default_factory=list)
    pause_ms: list[float] = field(default_factory=list)
    clicks_survived: list[bool] = field(default_factory=list)
    gaps_ms: list[float] = field(default_factory=list)
    holes: int = 0
    lost: int = 0
    fault: str | None = None


def sharp(pcm: bytes) -> bytes:
    """Cut speech to where it is loud, so that its first and last samples can be timed."""
    sound = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    blocks = sound[: len(sound) // 40 * 40].reshape(-1, 40)
    loud = np.flatnonzero(np.sqrt(np.mean(blocks**2, axis=1)) > _amplitude(_ONSET_DBFS))
    return pcm16(sound[loud[0] * 40 : (loud[-1] + 1) * 40])


def paused_at(heard: Heard, after_s: float) -> float | None:
    """When the agent became quieter by 10 dB, for 40 ms at least."""
    limit = _amplitude(TONE_DBFS - _QUIETER_DB)
    begun_s: float | None = None
    for packet in heard.packets:
        for number, level in enumerate(packet.levels):
            at_s = packet.arrived_s + number * 0.005
            if at_s < after_s:
                continue
            if level >= limit:
                begun_s = None
            elif begun_s is None:
                begun_s = at_s
            elif at_s - begun_s >= _QUIET_FOR_S:
                return begun_s
    return None


async def converse(call: Call, measured: Measured, chance: random.Random) -> None:
    """Be greeted, ask, interrupt the answer, click into the next one, hear it out."""
    question, objection = sharp(speech(QUESTION)), sharp(speech(OBJECTION))
    heard = call.heard
    await call.answered(_DEADLINE_S)
    measured.answer_ms = 1000 * (call.answered_at_s - call.invite_sent_at_s)
    greeted_s = await heard.wait_for_audio(call.answered_at_s, _DEADLINE_S)
    measured.greeting_ms = 1000 * (greeted_s - call.answered_at_s)
    await _hear_out(heard, measured, greeted_s, GREETING_S)

    await _ask(call, measured, question)
    await asyncio.sleep(chance.uniform(0.5, 2.5))
    saying = call.say_now(objection)
    started_s, said_s = await saying.started, await saying.finished
    paused_s = paused_at(heard, started_s)
    if paused_s is not None:
        measured.pause_ms.append(1000 * (paused_s - started_s))

    begun_s = await _reply_after(call, measured, said_s)
    await asyncio.sleep(chance.uniform(0.5, 2.5))
    clicked_s = await call.say_now(noise(CLICK_S)).started
    await _listen_until(heard, clicked_s + 0.6)
    level_dbfs = heard.level_dbfs(clicked_s + 0.3, clicked_s + 0.5)
    measured.clicks_survived.append(abs(level_dbfs - TONE_DBFS) < 3)
    await _listen_until(heard, begun_s + REPLY_S + 0.5)

    begun_s = await _ask(call, measured, question)
    await _hear_out(heard, measured, begun_s, REPLY_S)


async def _ask(call: Call, measured: Measured, question: bytes) -> float:
    said_s = await call.say(question)
    return await _reply_after(call, measured, said_s)


async def _reply_after(call: Call, measured: Measured, said_s: float) -> float:
    begun_s = await call.heard.wait_for_audio(said_s + 0.1, _DEADLINE_S)
    measured.voice_to_voice_ms.append(1000 * (begun_s - said_s))
    return begun_s


async def _listen_until(heard: Heard, at_s: float) -> None:
    """Wait for a packet of that time, without a look at those before."""
    await asyncio.sleep(at_s - time.monotonic())
    await heard.wait_until(lambda: heard.packets[-1].arrived_s > at_s, _LATE_S)


async def _hear_out(heard: Heard, measured: Measured, begun_s: float, length_s: float) -> None:
    """Listen to an unbroken sound of known length, and count the holes in it."""
    end_s = begun_s + length_s
    await _listen_until(heard, end_s + 0.5)
    measured.holes += len(heard.holes(begun_s + 0.01, end_s - 0.05))


async def one_call(phone: SipCaller, number: str, delay_s: float, seed: int) -> Measured:
    """Make one call and report it; a fault is part of the report."""
    measured = Measured()
    await asyncio.sleep(delay_s)
    try:
        async with phone.call(number) as call:
            await converse(call, measured, random.Random(seed))
            arrivals = [packet.arrived_s for packet in call.heard.packets[5:]]
            measured.gaps_ms = [round(gap * 1000, 2) for gap in np.diff(arrivals).tolist()]
            measured.lost = call.heard.order.lost
    except (TimeoutError, OSError, AssertionError) as fault:
        measured.fault = f"{type(fault).__name__}: {fault}"
    return measured


async def run(job: dict[str, object]) -> list[Measured]:
    """Make `calls` calls to `number` at `host`:`port`, `per_second` of them in a second."""
    calls, per_second = int(str(job["calls"])), float(str(job["per_second"]))
    sharp(speech(QUESTION)), sharp(speech(OBJECTION))  # synthesised before the clock runs
    async with SipCaller((str(job["host"]), int(str(job["port"])))) as phone:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one_call(phone, str(job["number"]), n / per_second, n))
                for n in range(calls)
            ]
        return [task.result() for task in tasks]


def _amplitude(level_dbfs: float) -> float:
    return float(FULL_SCALE * 10 ** (level_dbfs / 20))


def main() -> None:
    """Do one job."""
    gc.disable()  # it lives for a minute, and has its cores in common with what it measures
    results = uvloop.run(run(json.load(sys.stdin)))
    calls = [asdict(result) for result in results]
    json.dump({"calls": calls, "cpu_s": time.process_time()}, sys.stdout)


if __name__ == "__main__":
    main()
