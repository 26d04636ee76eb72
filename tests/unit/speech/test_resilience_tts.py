"""A voice that goes on when a vendor does not, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_8K, PCM_16K, PCM_24K
from sovereign_ari.speech.resilience.breaker import CircuitBreaker, State
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.text_to_speech import ResilientTextToSpeech
from tests.support.scripted_voice import ScriptedVoice, Voicing
from tests.support.virtual_time import run_in_virtual_time

TEXT = "one two three four five six seven eight nine ten"  # 2.88 s
GONE = ProviderUnavailable("gone")
BAD_KEY = ProviderRefused("the key is wrong")
THROTTLED = ProviderUnavailable("too often", retry_after_s=20)
BUSY = ProviderUnavailable("busy", retry_after_s=0.5)


class Stage:
    """A resilient voice, what it noted, and how long its texts took."""

    def __init__(self, *voices: ScriptedVoice, breakers: Sequence[CircuitBreaker] = ()) -> None:
        for number, voice in enumerate(voices):
            voice.label = f"voice/{'abc'[number]}"
        self.voices = voices
        self.breakers = breakers or [CircuitBreaker() for _ in voices]
        self.notes: list[tuple[str, Mapping[str, Any]]] = []
        self.it = ResilientTextToSpeech(
            [Candidate(v, v.label, b) for v, b in zip(voices, self.breakers, strict=True)],
            ProviderNotes(lambda kind, facts: self.notes.append((kind, facts)), "tts"),
        )
        self.heard = b""
        self.first_s: float | None = None

    @property
    def noted(self) -> list[str]:
        return [
            f"{kind.removeprefix('provider_')} {f['from']} {f['to']}" for kind, f in self.notes
        ]

    async def speak(self, text: str = TEXT) -> bytes:
        """All audio of a text; what came before a fault stays in `heard`."""
        began_s = asyncio.get_running_loop().time()
        self.heard, self.first_s = b"", None
        async with aclosing(self.it.speak(text)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if self.first_s is None:
                    self.first_s = asyncio.get_running_loop().time() - began_s
                self.heard += chunk
        assert [voice.open_requests for voice in self.voices] == [0] * len(self.voices)
        return self.heard


def on_stage(
    act: Callable[[Stage], Awaitable[None]], *voices: ScriptedVoice, **more: Any
) -> Stage:
    async def scene() -> Stage:
        stage = Stage(*voices, **more)
        await act(stage)
        return stage

    return run_in_virtual_time(scene())


async def speaks_all(stage: Stage) -> None:
    assert await stage.speak() == ScriptedVoice().sound_of(TEXT)


def test_one_that_works_is_not_noticed() -> None:
    stage = on_stage(speaks_all, ScriptedVoice(), ScriptedVoice())
    assert stage.notes == []
    assert stage.voices[1].asked == []


@pytest.mark.parametrize("fault", [GONE, BUSY], ids=["at once", "after the wait it asks for"])
def test_a_passing_fault_is_tried_again_once(fault: ProviderUnavailable) -> None:
    stage = on_stage(speaks_all, ScriptedVoice(Voicing(fault), Voicing()), ScriptedVoice())
    assert stage.noted == ["retry voice/a voice/a"]
    assert stage.first_s == pytest.approx(0.1 + (fault.retry_after_s or 0))
    assert stage.voices[0].asked == [TEXT, TEXT]


def test_a_fault_that_does_not_pass_leads_to_the_next_voice() -> None:
    stage = on_stage(speaks_all, ScriptedVoice(Voicing(GONE)), ScriptedVoice())
    assert stage.noted == ["retry voice/a voice/a", "fallback voice/a voice/b"]


@pytest.mark.parametrize("fault", [BAD_KEY, THROTTLED], ids=["bad key", "throttled"])
def test_what_another_try_cannot_mend_leads_to_the_next_voice_at_once(
    fault: ProviderError,
) -> None:
    stage = on_stage(speaks_all, ScriptedVoice(Voicing(fault)), ScriptedVoice())
    assert stage.noted == ["fallback voice/a voice/b"]
    assert stage.voices[0].asked == [TEXT]
    facts = stage.notes[0][1]
    assert (facts["code"], facts["message"]) == (fault.code, str(fault))
    assert facts["kind"] == "tts"


def test_a_voice_that_does_not_begin_in_time_is_followed_by_the_next() -> None:
    stage = on_stage(speaks_all, ScriptedVoice(Voicing(first_s=60)), ScriptedVoice())
    assert stage.noted == ["fallback voice/a voice/b"]
    assert stage.notes[0][1]["took_ms"] == 2000
    assert stage.first_s == pytest.approx(2.05)


def test_the_last_voice_is_waited_for_a_little_longer() -> None:
    on_stage(speaks_all, ScriptedVoice(Voicing(first_s=3.5)))

    async def too_late(stage: Stage) -> None:
        with pytest.raises(ProviderUnavailable, match=r"sent no audio for 4\.0 s"):
            await stage.speak()

    stage = on_stage(too_late, ScriptedVoice(Voicing(first_s=60)))
    assert stage.voices[0].asked == [TEXT], "the silence was doubled"


def test_a_voice_whose_circuit_is_open_is_not_asked() -> None:
    tripped = CircuitBreaker()
    for at_s in (0.0, 0.1, 0.2):
        tripped.failed(at_s)
    stage = on_stage(
        speaks_all, ScriptedVoice(), ScriptedVoice(), breakers=(tripped, CircuitBreaker())
    )
    assert stage.noted == ["circuit_open voice/a voice/b"]
    assert stage.voices[0].asked == []


def test_a_circuit_opens_after_breaks_and_closes_when_a_trial_is_spoken_to_its_end() -> None:
    async def act(stage: Stage) -> None:
        for _ in range(4):  # the third request was not sent: the voice broke off twice
            with pytest.raises(ProviderUnavailable):
                await stage.speak()
        breaker = stage.breakers[0]
        assert breaker.state(asyncio.get_running_loop().time()) is State.OPEN
        await asyncio.sleep(10)
        await speaks_all(stage)
        assert breaker.state(asyncio.get_running_loop().time()) is State.CLOSED

    broken = Voicing(breaks_s=0.1)
    on_stage(act, ScriptedVoice(broken, broken, broken, Voicing()))


def test_when_no_voice_can_speak_the_fault_is_told() -> None:
    async def act(stage: Stage) -> None:
        with pytest.raises(ProviderRefused, match="the key is wrong"):
            await stage.speak()

    stage = on_stage(act, ScriptedVoice(Voicing(GONE)), ScriptedVoice(Voicing(BAD_KEY)))
    assert [len(voice.asked) for voice in stage.voices] == [2, 1]


@pytest.mark.parametrize("own", [PCM_8K, PCM_16K, PCM_24K], ids=lambda audio: str(audio.rate_hz))
@pytest.mark.parametrize("other", [PCM_8K, PCM_16K, PCM_24K], ids=lambda audio: str(audio.rate_hz))
def test_whoever_speaks_the_rate_stays_that_of_the_primary(own: Any, other: Any) -> None:
    async def act(stage: Stage) -> None:
        assert stage.it.audio == own
        spoken = await stage.speak()
        assert own.seconds(len(spoken)) == pytest.approx(2.88, abs=0.01)

    on_stage(act, ScriptedVoice(Voicing(BAD_KEY), audio=own), ScriptedVoice(audio=other))


def test_the_voice_that_took_over_stays() -> None:
    async def act(stage: Stage) -> None:
        for _ in range(4):
            await stage.speak()
            assert stage.it.label == "voice/b"
            await asyncio.sleep(100)

    primary = ScriptedVoice(Voicing(BAD_KEY), Voicing())
    stage = on_stage(act, primary, ScriptedVoice())
    assert len(primary.asked) == 1
    assert stage.noted == ["fallback voice/a voice/b"]


def test_when_the_voice_that_took_over_fails_the_first_is_asked_again() -> None:
    async def act(stage: Stage) -> None:
        await speaks_all(stage)
        await speaks_all(stage)
        assert stage.it.label == "voice/a"

    stage = on_stage(
        act,
        ScriptedVoice(Voicing(BAD_KEY), Voicing()),
        ScriptedVoice(Voicing(), Voicing(BAD_KEY)),
    )
    assert stage.noted == ["fallback voice/a voice/b", "fallback voice/b voice/a"]


async def breaks_off(stage: Stage, heard_s: float) -> None:
    with pytest.raises(ProviderUnavailable):
        await stage.speak()
    assert PCM_8K.seconds(len(stage.heard)) == pytest.approx(heard_s)


def test_a_voice_that_breaks_off_gets_one_chance_to_go_on_itself() -> None:
    async def act(stage: Stage) -> None:
        await breaks_off(stage, 0.5)
        await breaks_off(stage, 0.3)
        await speaks_all(stage)
        assert stage.it.label == "voice/b"

    first = ScriptedVoice(Voicing(breaks_s=0.5), Voicing(breaks_s=0.3))
    stage = on_stage(act, first, ScriptedVoice())
    assert stage.noted == ["retry voice/a voice/a", "fallback voice/a voice/b"]


def test_a_voice_that_goes_on_well_is_forgiven() -> None:
    async def act(stage: Stage) -> None:
        for _ in range(2):
            await breaks_off(stage, 0.5)
            await speaks_all(stage)
        assert stage.it.label == "voice/a"

    broken = Voicing(breaks_s=0.5)
    on_stage(act, ScriptedVoice(broken, Voicing(), broken, Voicing()), ScriptedVoice())


@pytest.mark.parametrize(("voices", "waits_s"), [(2, 1.7), (1, 3.0)], ids=["two", "one"])
def test_a_voice_that_stalls_is_left_when_the_caller_has_heard_all_of_it(
    voices: int, waits_s: float
) -> None:
    async def act(stage: Stage) -> None:
        began_s = asyncio.get_running_loop().time()
        await breaks_off(stage, 0.5)
        took_s = asyncio.get_running_loop().time() - began_s
        assert took_s == pytest.approx(0.05 + waits_s, abs=0.01)

    others = [ScriptedVoice() for _ in range(voices - 1)]
    stage = on_stage(act, ScriptedVoice(Voicing(stalls_s=0.5)), *others)
    last = f"voice/{'ab'[voices - 1]}"
    assert stage.noted == [f"{'fallback' if voices > 1 else 'retry'} voice/a {last}"]


def test_a_voice_that_is_slower_than_speech_is_let_finish() -> None:
    stage = on_stage(speaks_all, ScriptedVoice(Voicing(pause_s=0.9)), ScriptedVoice())
    assert stage.notes == []


def test_a_listener_that_takes_its_time_is_not_the_voice_s_fault() -> None:
    async def act(stage: Stage) -> None:
        size = 0
        async for chunk in stage.it.speak(TEXT):
            size += len(chunk)
            await asyncio.sleep(3)
        assert size == len(ScriptedVoice().sound_of(TEXT))

    assert on_stage(act, ScriptedVoice(Voicing(pause_s=0.05)), ScriptedVoice()).notes == []


def test_closing_in_the_middle_ends_the_request_and_says_nothing_about_the_voice() -> None:
    async def act(stage: Stage) -> None:
        async with aclosing(stage.it.speak(TEXT)) as chunks:  # type: ignore[type-var]
            await anext(chunks)
            assert stage.voices[0].open_requests == 1
        assert stage.voices[0].open_requests == 0
        waiting = asyncio.create_task(stage.speak())
        await asyncio.sleep(0.01)
        assert stage.voices[0].open_requests == 1
        waiting.cancel()
        await asyncio.wait([waiting])
        assert stage.voices[0].open_requests == 0
        assert stage.breakers[0].state(0) is State.CLOSED

    assert on_stage(act, ScriptedVoice(), ScriptedVoice()).notes == []
