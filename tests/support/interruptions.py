"""Calls that are interrupted again and again: what the caller heard, beside what we say he did."""

from __future__ import annotations

import asyncio
import audioop
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.fake_openai import FakeOpenAI
from tests.support.platform import Json
from tests.support.recording import Heard
from tests.support.sip_call import Call
from tests.support.sip_caller import SipCaller
from tests.support.speech_samples import speech
from tests.support.word_voice import RULES, Count, count_words, render, story, words_of

LOUD_DBFS = -26.0  # above any room, below the voice
WORDS = "continue"
ASKED = "continue"
LEAST_S = 0.2
LOUD_RMS = 300
SHORTEST_S = 0.3
LONGEST_S = 5.0
SPEECH_CONFIG: Json = {
    "turn_taking": {"endpointing_min_delay": 0.4, "endpointing_max_delay": 1.5},
    "pronunciation": [{"from": written, "to": spoken} for written, spoken in RULES],
    "background_audio": {"enabled": True, "clip": "office", "volume": 0.2},
}
"""Rules and a room: what makes it hardest to know which words were heard."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One call.

    Attributes:
        name: Makes its stories its own.
        number: Where it goes.
        codec: Of the telephone.
        interruptions: How many, before it is hung up in the middle of the next story.
        ruled: Whether rules of pronunciation hold.
    """

    name: str
    number: str
    codec: str
    interruptions: int
    ruled: bool

    @property
    def unsaid(self) -> tuple[str, ...]:
        """Words that are written and not spoken."""
        return tuple(written for written, spoken in RULES if self.ruled and not spoken)


@dataclass(frozen=True, slots=True)
class Telling:
    """One story, up to where it was cut.

    Attributes:
        turn: How often the caller had spoken before it.
        plan: Of its call.
        hung_up: Whether the caller hung up, rather than spoke.
        text: All of it.
        heard: What is in the caller's own recording.
    """

    turn: int
    plan: Plan
    hung_up: bool
    text: str
    heard: Count

    def error(self, kept: str) -> int:
        """Words of the recording that are missing in `kept`; below zero, those too many.

        The word that was cut counts when half of it was heard.
        """
        return self.heard.half - self._words(kept)

    def worst(self, kept: str) -> int:
        """How many words it is off, whichever way the word that was cut is counted."""
        words = self._words(kept)
        return max(abs(self.heard.whole - words), abs(self.heard.audible - words))

    def _words(self, kept: str) -> int:
        """How many words of a beginning of the text are spoken."""
        words = kept.split()
        assert self.text.split()[: len(words)] == words, f"{kept!r} is no beginning of it"
        return sum(word not in self.plan.unsaid for word in words_of(kept))


def greeting(name: str) -> str:
    """The story that a call begins with."""
    return story(f"greeting {name}", 30)[:300].rpartition(".")[0] + "."


def tell_stories(vendor: FakeOpenAI) -> None:
    """Make the vendor tell a story to everybody, another one for each time it is asked."""
    vendor.speech.render = render
    vendor.realtime.recognise = lambda pcm: ASKED if _loud_s(pcm) > LEAST_S else ""
    vendor.reply = lambda messages, _tools: story(_key(messages))


def model(name: str) -> Json:
    """The `llm_config` of a call; its name stands in the prompt, which chooses its stories."""
    prompt = [{"role": "system", "content": name}]
    return {"provider": "openai", "model": "gpt-5.4", "messages": prompt}


def _key(messages: Sequence[Json]) -> str:
    name = next(each["content"] for each in messages if each["role"] == "system").split()[0]
    return f"{name} {sum(each['role'] == 'user' for each in messages)}"


def _loud_s(pcm_8k: bytes) -> float:
    blocks = (pcm_8k[at : at + 320] for at in range(0, len(pcm_8k), 320))
    return sum(audioop.rms(block, 2) > LOUD_RMS for block in blocks) * 0.02


async def interrupted_call(phone: SipCaller, plan: Plan, seed: int) -> list[Telling]:
    """Make one call, and read what was heard of each story from its recording."""
    chance = random.Random(f"{seed} {plan.name}")
    tellings = []
    async with phone.call(plan.number, codecs=(plan.codec,)) as call:
        await call.answered(15)
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 15, LOUD_DBFS)
        for turn in range(plan.interruptions + 1):
            until_s = begun_s + chance.uniform(SHORTEST_S, LONGEST_S)
            await _listen(call.heard, until_s)
            hung_up = turn == plan.interruptions
            next_s = None if hung_up else await _interrupt(call)
            ended_s = time.monotonic() if next_s is None else next_s - 0.05
            if next_s is None:
                await call.hang_up()
            text = story(f"{plan.name} {turn}") if turn else greeting(plan.name)
            heard = _count(call.heard, plan, text, (begun_s - 0.1, ended_s))
            tellings.append(Telling(turn, plan, hung_up, text, heard))
            begun_s = next_s or ended_s
    return tellings


def kept_messages(messages: Sequence[Json], telling: Telling) -> str:
    """What a record, a report or a prompt says was heard of a story."""
    turn = 0
    for message in messages:
        if message["role"] == "user":
            turn += 1
            assert set(message["content"].split()) == {ASKED}, (
                f"understood: {message['content']!r}"
            )
        elif message["role"] == "assistant" and turn == telling.turn:
            return str(message["content"])
    return ""


def next_prompt(vendor: FakeOpenAI, telling: Telling) -> list[Json]:
    """What the model was told when the caller had spoken up in a story."""
    wanted = f"{telling.plan.name} {telling.turn + 1}"
    bodies: list[dict[str, Any]] = vendor.chat.bodies
    return next(list(body["messages"]) for body in bodies if _key(body["messages"]) == wanted)


async def _interrupt(call: Call) -> float:
    """Speak up; returns when the next story begins."""
    spoken_s = await call.say(speech(WORDS))
    try:
        return await call.heard.wait_for_audio(spoken_s, 10, LOUD_DBFS)
    except TimeoutError:
        raise AssertionError("no story was told") from None


async def _listen(heard: Heard, until_s: float) -> None:
    await heard.wait_until(lambda: heard.packets[-1].arrived_s >= until_s, LONGEST_S + 5)


def _count(heard: Heard, plan: Plan, text: str, between_s: tuple[float, float]) -> Count:
    return count_words(text, heard.pcm(*between_s), heard.rate_hz, plan.unsaid)


async def all_at_once(phone: SipCaller, plans: Sequence[Plan], seed: int) -> list[Telling]:
    """Make several calls at the same time."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(interrupted_call(phone, plan, seed)) for plan in plans]
    return [telling for task in tasks for telling in task.result()]
