"""A labelled set of beginnings of calls that we place: who or what answers, and how it sounds.

Everything is generated, the same every time: several voices and languages, what lines carry, and
real G.711, in 20 ms frames. The words are known with their times, so that no recogniser is
measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle

import numpy as np

from sovereign_ari.domain.answering_machine import Kind
from tests.support import labelled_sounds as sounds
from tests.support.greeting_texts import HUMANS, MACHINES
from tests.support.labelled_sounds import RATE_HZ, Samples, nothing, spoken

LEVEL_DBFS = -20.0
TAIL_S = 4.0
VOICES = {
    "en": ("slt", "rms", "en-us", "en-gb+f3", "awb", "kal"),
    "nl": ("nl", "nl+f2", "nl+m3"),
    "de": ("de", "de+m3", "de+f4"),
}


@dataclass(frozen=True)
class Said:
    """Words, and when they end: seconds from the answer."""

    text: str
    end_s: float


@dataclass(frozen=True)
class Beginning:
    """Who answers, and what is heard.

    Attributes:
        kind: The truth.
        name: What exactly it is.
        language: Of its words.
        pcm: PCM16 at 8 kHz behind G.711, whole frames.
        words: Each word.
        beep_s: When the beep is over behind which one speaks, None without one.
        law: `ulaw` or `alaw`.
    """

    kind: Kind
    name: str
    language: str
    pcm: bytes
    words: tuple[Said, ...] = ()
    beep_s: float | None = None
    law: str = "ulaw"

    def frames(self) -> Iterator[bytes]:
        """Yield 20 ms of PCM16 at a time."""
        for at in range(0, len(self.pcm), 320):
            yield self.pcm[at : at + 320]


@dataclass(frozen=True)
class Beep:
    """A beep of a voicemail."""

    hz: float = 1000.0
    seconds: float = 0.4
    dbfs: float = -16.0
    times: int = 1

    def sound(self) -> Samples:
        one = tone(self.seconds, self.hz, dbfs=self.dbfs)
        return np.concatenate([np.append(one, nothing(0.12))] * self.times)


@dataclass(frozen=True)
class Script:
    """What is heard: texts to be spoken, pauses in seconds, beeps, and ready sounds."""

    kind: Kind
    name: str
    language: str
    parts: Sequence[str | float | Beep | Samples]
    noise: str = "comfort"
    lead_s: float = 0.4
    voices: Sequence[str] = field(default=())


def tone(seconds: float, *hz: float, dbfs: float = -16.0) -> Samples:
    """Make a tone of these frequencies, with edges of 5 ms."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    edge = np.minimum(1, np.minimum(times_s, times_s[::-1]) / 0.005)
    wave = sum((np.sin(2 * np.pi * each * times_s) for each in hz), np.zeros(len(times_s)))
    return sounds.at_level(wave, dbfs) * edge


_BEEPS = (
    Beep(), Beep(440, 0.25), Beep(1400, 0.8, -22), Beep(850, 1.2, -12), Beep(620, 0.18, -18),
    Beep(1000, 0.15, -16, 2), Beep(2000, 0.5, -20), Beep(425, 0.6, -24),
)  # fmt: skip


def scripts() -> Iterator[Script]:
    """All beginnings, unspoken."""
    beeps, noises = cycle(_BEEPS), cycle(("comfort", "silence", "car", "babble"))
    for language, texts in HUMANS.items():
        for parts in texts:
            for noise in ("comfort", next(noises)):
                yield Script(Kind.HUMAN, f"{noise}: {parts[0]}", language, parts, noise)
    for kind, by_language in MACHINES.items():
        for language, texts in by_language.items():
            for parts in texts:
                name = str(parts[0])
                yield Script(kind, name, language, (*parts, *_ending(kind, beeps)))
                if kind is Kind.VOICEMAIL:
                    yield Script(kind, f"no beep: {name}", language, parts, "silence")
    yield from _music_and_tones()


def _ending(kind: Kind, beeps: Iterator[Beep]) -> tuple[Beep, ...]:
    return (next(beeps),) if kind is Kind.VOICEMAIL else ()


def _music_and_tones() -> Iterator[Script]:
    en = "en"
    yield Script(
        Kind.VOICEMAIL, "music, then a greeting", en,
        (sounds.music(3.0, -26), "please leave a message after the tone", 0.5, Beep(1200, 0.5)),
    )  # fmt: skip
    yield Script(Kind.UNKNOWN, "music on hold", en, (sounds.music(12.0, -22),))
    yield Script(Kind.UNKNOWN, "nothing at all", en, (3.0,), "silence")
    yield Script(Kind.FAX, "fax: CED", en, (1.0, tone(3.0, 2100, dbfs=-14)), "silence")
    yield Script(Kind.FAX, "fax: ANSam", en, (1.5, _answer_amplitude()), "comfort")
    cng = [tone(0.5, 1100), nothing(3.0)] * 3
    yield Script(Kind.FAX, "fax: CNG", en, (0.5, np.concatenate(cng)), "silence")
    for name, hz, lengths_s in (
        ("international", (950, 1400, 1800), (0.33, 0.33, 0.33)),
        ("reorder", (913.8, 1428.5, 1776.7), (0.276, 0.38, 0.38)),
        ("vacant", (985.2, 1370.6, 1776.7), (0.38, 0.276, 0.38)),
    ):
        rising = [tone(s, f) for f, s in zip(hz, lengths_s, strict=True)]
        parts = (np.concatenate(rising), 0.5, "your call cannot be completed as dialled")
        yield Script(Kind.OUT_OF_SERVICE, f"SIT, {name}", en, parts)
    yield Script(Kind.BUSY, "busy, Europe", en, (sounds.signal_tone(5.0, -18),))
    fast = np.concatenate([np.append(tone(0.25, 480, 620), nothing(0.25))] * 10)
    yield Script(Kind.BUSY, "reorder, North America", en, (fast,))


def _answer_amplitude() -> Samples:
    """ANSam: 2100 Hz, 20 % amplitude modulation by 15 Hz, the phase turned every 450 ms."""
    times_s = np.arange(round(3.5 * RATE_HZ)) / RATE_HZ
    turned = np.where((times_s // 0.45) % 2 == 0, 1.0, -1.0)
    wave = (1 + 0.2 * np.sin(2 * np.pi * 15 * times_s)) * np.sin(2 * np.pi * 2100 * times_s)
    return sounds.at_level(wave * turned, -16)


_NOISES: dict[str, Callable[[float], Samples]] = {
    "comfort": partial(sounds.comfort, dbfs=-58),
    "silence": nothing,
    "car": partial(sounds.car, dbfs=-36),
    "babble": partial(sounds.babble, dbfs=-44),
}


def performed(script: Script, voice: str, law: str = "ulaw") -> Beginning:
    """Speak a script."""
    pieces: list[Samples] = [nothing(script.lead_s)]
    words: list[Said] = []
    at_s, beep_s = script.lead_s, None
    for part in script.parts:
        if isinstance(part, str):
            piece = spoken(part, voice, LEVEL_DBFS)
            words += _timed(part, at_s, len(piece) / RATE_HZ)
        elif isinstance(part, float):
            piece = nothing(part)
        elif isinstance(part, Beep):
            piece = part.sound()
            beep_s = at_s + len(piece) / RATE_HZ
        else:
            piece = part
        pieces.append(piece)
        at_s += len(piece) / RATE_HZ
    sound = np.concatenate([*pieces, nothing(TAIL_S)])
    noise = _NOISES[script.noise](len(sound) / RATE_HZ + 0.1)[: len(sound)]
    pcm = sounds.over_the_wire(sound + noise, law)
    name = f"{script.language} {voice}, {script.name}"
    return Beginning(script.kind, name, script.language, pcm, tuple(words), beep_s, law)


def _timed(text: str, start_s: float, seconds: float) -> Iterator[Said]:
    done = 0
    for word in text.split():
        done += len(word) + 1
        yield Said(word, start_s + seconds * done / (len(text) + 1))


def beginnings() -> list[Beginning]:
    """Speak all of them, each with two voices."""
    voices = {language: cycle(names) for language, names in VOICES.items()}
    laws = cycle(("ulaw", "alaw"))
    return [
        performed(script, next(voices[script.language]), next(laws))
        for script in scripts()
        for _ in range(2)
    ]
