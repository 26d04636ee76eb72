"""Plays the beginnings of calls to the product's detectors and to `Screening`, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sovereign_ari.domain.answering_machine import Kind, PbxVerdict, Verdict
from sovereign_ari.domain.screening import FRAME_S, Outcome, Screening, Step
from sovereign_ari.media.tones import ToneDetector
from sovereign_ari.media.vad import VoiceActivity
from tests.support.labelled_greetings import Beginning

RECOGNISED_AFTER_S = 0.35  # behind the end of a word
FINAL_AFTER_S = 0.5  # behind the last word
AMD_AFTER_S = 2.0


@dataclass(frozen=True)
class Heard:
    """What the detectors said of each frame, once for all ways to decide about it."""

    voiced: tuple[bool, ...]
    signals: tuple[str | None, ...]


@dataclass(frozen=True)
class Course:
    """What became of a beginning.

    Attributes:
        kind: The last verdict.
        verdict_s: When it came, None for none.
        steps: What was done, and when.
        because: The last verdict's reasons.
        awaited: What the message was left behind.
    """

    kind: Kind
    verdict_s: float | None
    steps: tuple[tuple[Step, float], ...]
    because: tuple[str, ...]
    awaited: str

    @property
    def is_stopped(self) -> bool:
        """Whether the agent was silenced, or the call ended, and that was not taken back."""
        steps = [step for step, _ in self.steps]
        return bool(steps) and steps[-1] not in (Step.SPEAK_UP, Step.INTRODUCE)


def heard(beginning: Beginning) -> Heard:
    """Have the detectors hear it."""
    voice, tones = VoiceActivity(8000), ToneDetector(8000)
    frames = list(beginning.frames())
    return Heard(
        tuple(voice.is_speech(frame) for frame in frames),
        tuple(tones.hear(frame) for frame in frames),
    )


def play(beginning: Beginning, sound: Heard, pbx: PbxVerdict | None) -> Course:
    """Screen it; `pbx` is what AMD says after two seconds, None for nothing."""
    screening = Screening(leaves_message=True)
    verdict, verdict_s, steps = None, None, []
    said = list(_recognised(beginning))
    for number, (voiced, signal) in enumerate(zip(sound.voiced, sound.signals, strict=True), 1):
        now_s = number * FRAME_S
        outcomes: list[Outcome] = screening.frame(voiced)
        while said and said[0][0] <= now_s:
            _, text, final = said.pop(0)
            outcomes += screening.words(text, final=final)
        if signal is not None:
            outcomes += screening.sound(signal)  # type: ignore[arg-type]
        if pbx is not None and number == round(AMD_AFTER_S / FRAME_S):
            outcomes += screening.pbx(pbx)
        for outcome in outcomes:
            if isinstance(outcome, Verdict):
                verdict, verdict_s = outcome, now_s
            else:
                steps.append((outcome, now_s))
    return Course(
        verdict.kind if verdict else Kind.UNKNOWN,
        verdict_s,
        tuple(steps),
        verdict.because if verdict else (),
        screening.awaited,
    )


def _recognised(beginning: Beginning) -> Iterator[tuple[float, str, bool]]:
    """When which text comes: partial texts word by word, final ones at the pauses."""
    utterance: list[str] = []
    for number, word in enumerate(beginning.words):
        utterance.append(word.text)
        yield word.end_s + RECOGNISED_AFTER_S, " ".join(utterance), False
        rest = beginning.words[number + 1 :]
        if not rest or rest[0].end_s - word.end_s > FINAL_AFTER_S + 0.5:
            yield word.end_s + FINAL_AFTER_S, " ".join(utterance), True
            utterance = []
