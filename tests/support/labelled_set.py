"""A labelled set of telephone sound: who speaks when, and what a conversation must make of it.

Everything is generated, the same every time: voices of several languages and both sexes from
two synthesisers, mixed with what lines carry, through real G.711, in 20 ms frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import cycle

import numpy as np

from tests.support import labelled_sounds as sounds
from tests.support.labelled_sounds import RATE_HZ, Samples, nothing, spoken

BLOCK_S = 0.010
LOUD_DB = 18.0  # below the level of the words: the end of what matters of a word
AGENT_DBFS = -18.0
VOICES = {
    "slt": "en", "rms": "en", "awb": "en", "en-us": "en", "en-gb+f3": "en",
    "nl": "nl", "nl+f2": "nl", "de+m3": "de", "de+f4": "de", "kal": "en",
}  # fmt: skip
_TEXTS = {
    "en": ("i would like to make an appointment for tuesday", "on a late afternoon please"),
    "nl": ("ik wil graag een afspraak maken voor dinsdag", "aan het einde van de middag"),
    "de": ("ich möchte gerne einen termin am dienstag haben", "und zwar am späten nachmittag"),
}
_OBJECTIONS = {
    "en": ("wait a moment please", "no that is not what i asked for at all"),
    "nl": ("wacht eens even graag", "nee dat is niet wat ik gevraagd had"),
    "de": ("moment mal bitte", "nein das habe ich so nicht gemeint"),
}
_REPLY = (
    "thank you for calling we are open from monday to friday between nine and five and on"
    " saturday until noon and you can find us at the corner of the market square"
)


class Expected(Enum):
    """What a conversation must make of an item."""

    NOTHING = "nothing"  # the agent speaks and goes on speaking
    BARGE_IN = "barge-in"  # the agent speaks and is interrupted
    TURN = "turn"  # the agent listens and answers once


@dataclass(frozen=True)
class Said:
    """A word and when it ends, in seconds from the beginning of its item."""

    word: str
    end_s: float


@dataclass(frozen=True)
class Item:
    """One sound and the truth about it; seconds count from its beginning.

    Attributes:
        kind: The class that figures are given for.
        name: What exactly it is.
        expected: What is to become of it.
        pcm: What comes from the caller, after G.711: PCM16 at 8 kHz, whole frames.
        law: `ulaw` or `alaw`.
        speech: When the caller speaks: one interval, or one on either side of a pause.
        loud: For each frame, True in the loud part of a word, None where speech is faint or
            within 60 ms of it, and False elsewhere.
        words: The caller's.
        agent: What we send meanwhile, after G.711; empty where the agent is silent.
        agent_words: The agent's, with the times at which their echo ends.
    """

    kind: str
    name: str
    expected: Expected
    pcm: bytes
    law: str
    speech: tuple[tuple[float, float], ...] = ()
    loud: tuple[bool | None, ...] = ()
    words: tuple[Said, ...] = ()
    agent: bytes = b""
    agent_words: tuple[Said, ...] = ()

    @property
    def pause_s(self) -> float:
        """The pause inside the turn, 0 when there is none."""
        return self.speech[1][0] - self.speech[0][1] if len(self.speech) == 2 else 0.0

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield what comes and what is sent (empty for nothing), 20 ms at a time."""
        for at in range(0, len(self.pcm), 320):
            yield self.pcm[at : at + 320], self.agent[at : at + 320]


@dataclass(frozen=True)
class _Phrase:
    text: str
    sound: Samples
    start_s: float

    @property
    def loud_blocks(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        size = round(BLOCK_S * RATE_HZ)
        blocks = self.sound[: len(self.sound) // size * size].reshape(-1, size)
        levels = np.sqrt(np.mean(blocks**2, axis=1))
        spoken_level = np.sqrt(np.mean(levels[levels > levels.max() * 0.05] ** 2))
        return np.flatnonzero(levels > spoken_level * 10 ** (-LOUD_DB / 20))

    @property
    def interval(self) -> tuple[float, float]:
        blocks = self.loud_blocks
        first, last = float(blocks[0]), float(blocks[-1] + 1)
        return self.start_s + first * BLOCK_S, self.start_s + last * BLOCK_S

    def words(self) -> tuple[Said, ...]:
        start_s, end_s = self.interval
        words, done, said = self.text.split(), 0, []
        for word in words:
            done += len(word) + 1
            said.append(Said(word, start_s + (end_s - start_s) * done / (len(self.text) + 1)))
        return tuple(said)


def _mix(seconds: float, phrases: list[_Phrase], background: Samples) -> Samples:
    sound = np.zeros(round(seconds * RATE_HZ) // 160 * 160)
    sound += background[: len(sound)]
    for phrase in phrases:
        start = round(phrase.start_s * RATE_HZ)
        sound[start : start + len(phrase.sound)] += phrase.sound
    return sound


def _truth(frames: int, phrases: list[_Phrase]) -> tuple[bool | None, ...]:
    truth: list[bool | None] = [False] * frames
    for phrase in phrases:
        start_s, end_s = phrase.start_s, phrase.start_s + len(phrase.sound) / RATE_HZ
        for frame in range(frames):
            if start_s - 0.06 < frame * 0.02 < end_s + 0.06:
                truth[frame] = None
    for phrase in phrases:
        for block in phrase.loud_blocks:
            truth[min(frames - 1, round((phrase.start_s + block * BLOCK_S) / 0.02 - 0.25))] = True
    return tuple(truth)


def _item(
    kind: str, name: str, law: str, phrases: list[_Phrase], sound: Samples, expected: Expected
) -> Item:
    pcm = sounds.over_the_wire(sound, law)
    speech = tuple(phrase.interval for phrase in phrases)
    words = tuple(said for phrase in phrases for said in phrase.words())
    truth = _truth(len(pcm) // 320, phrases)
    return Item(kind, name, expected, pcm, law, speech, truth, words)


def reply(seconds: float, law: str = "ulaw", voice: str = "slt") -> tuple[Samples, bytes]:
    """What the agent says meanwhile: before and after G.711."""
    words = spoken(_REPLY, voice, AGENT_DBFS)
    sound = np.resize(np.append(words, nothing(0.25)), round(seconds * RATE_HZ) // 160 * 160)
    wire = sounds.over_the_wire(sound, law)
    return np.frombuffer(wire, dtype="<i2").astype(np.float64), wire


# The kinds.

BACKGROUNDS: dict[str, Callable[[float], Samples]] = {
    "digital silence": nothing,
    "comfort noise -60": partial(sounds.comfort, dbfs=-60),
    "comfort noise -46": partial(sounds.comfort, dbfs=-46),
    "white noise -40": partial(sounds.white, dbfs=-40),
    "car -30": partial(sounds.car, dbfs=-30),
    "babble -42": partial(sounds.babble, dbfs=-42),
    "music -42": partial(sounds.music, dbfs=-42),
}


def turns() -> Iterator[Item]:
    """Each voice over each background, which goes on for 3 s behind the last word."""
    levels, laws = cycle((-14.0, -20.0, -26.0)), cycle(("ulaw", "alaw"))
    for voice, language in VOICES.items():
        for background, make in BACKGROUNDS.items():
            dbfs = next(levels)
            phrase = _Phrase(_TEXTS[language][0], spoken(_TEXTS[language][0], voice, dbfs), 1.0)
            seconds = 4.0 + len(phrase.sound) / RATE_HZ
            sound = _mix(seconds, [phrase], make(seconds))
            name = f"{voice} at {dbfs:g}, {background}"
            yield _item(f"turn, {background}", name, next(laws), [phrase], sound, Expected.TURN)


def pauses() -> Iterator[Item]:
    """Turns with a pause for thought in them."""
    for voice in ("slt", "rms", "en-gb+f3", "nl", "de+f4"):
        for pause_s in (0.2, 0.35, 0.5, 0.8, 1.2):
            for background in ("comfort noise -60", "car -30"):
                one, two = _TEXTS[VOICES[voice]]
                first = _Phrase(one, spoken(one, voice, -22), 0.8)
                probe = _Phrase(two, spoken(two, voice, -22), 0.0)
                start_s = first.interval[1] + pause_s - probe.interval[0]
                second = _Phrase(two, probe.sound, start_s)
                seconds = start_s + len(probe.sound) / RATE_HZ + 3.0
                sound = _mix(seconds, [first, second], BACKGROUNDS[background](seconds))
                name = f"{voice}, pause of {pause_s:g} s, {background}"
                yield _item(
                    f"pause of {pause_s:g} s", name, "ulaw", [first, second], sound, Expected.TURN
                )


def barge_ins() -> Iterator[Item]:
    """The caller speaks over the agent, on a clean line, with echo, in a car."""
    laws = cycle(("ulaw", "alaw"))
    for voice, language in VOICES.items():
        for number, dbfs in enumerate((-16.0, -27.0)):
            for line in ("clean line", "echo", "car"):
                text, law, seconds = _OBJECTIONS[language][number], next(laws), 5.0
                agent, wire = reply(seconds, law, "rms" if voice == "slt" else "slt")
                phrase = _Phrase(text, spoken(text, voice, dbfs), 1.6 + 0.13 * number)
                sound = _mix(seconds, [phrase], _behind(line, agent, seconds))
                name = f"{voice} at {dbfs:g}, {line}: {text}"
                made = _item(f"barge-in, {line}", name, law, [phrase], sound, Expected.BARGE_IN)
                yield _with_agent(made, wire)


def _behind(line: str, agent: Samples, seconds: float) -> Samples:
    if line == "echo":
        return sounds.echo(agent, 0.14, -26, mobile=True)
    if line == "car":
        return sounds.car(seconds, -36)
    return sounds.comfort(seconds, -60)


_NOISES: dict[str, tuple[Callable[..., Samples], tuple[int, ...]]] = {
    "comfort noise": (sounds.comfort, (-65, -55, -50, -45, -40)),
    "white noise": (sounds.white, (-50, -40, -30)),
    "car": (sounds.car, (-40, -30, -22)),
    "babble": (sounds.babble, (-48, -42, -36)),
    "clicks": (sounds.clicks, (-30, -16, -8)),
    "coughs": (sounds.coughs, (-30, -16, -8)),
    "music on hold": (sounds.music, (-40, -26, -16)),
}


def noises(seconds: float = 8.0) -> Iterator[Item]:
    """What must not interrupt the agent."""
    _, wire = reply(seconds)
    for number, (kind, name, sound) in enumerate(_noises(seconds)):
        law = ("ulaw", "alaw")[number % 2]
        yield _with_agent(_item(kind, name, law, [], sound, Expected.NOTHING), wire)
    yield from _echoes(seconds)


def _noises(seconds: float) -> Iterator[tuple[str, str, Samples]]:
    yield "silence", "digital", nothing(seconds)
    for kind, (make, levels_dbfs) in _NOISES.items():
        for seed, dbfs in enumerate(levels_dbfs):
            yield kind, f"{kind} {seed}, {dbfs} dBFS", make(seconds, dbfs, seed)
    for dbfs, on_s in ((-10, 0.1), (-18, 0.25), (-26, 0.06)):
        keys = _Phrase("", sounds.digits("159D0*#2684", dbfs, on_s), 1.0)
        sound = _mix(seconds, [keys], sounds.comfort(seconds, -60))
        yield "DTMF", f"{dbfs} dBFS, {on_s:g} s", sound
    yield "call tones", "engaged", sounds.signal_tone(seconds, -20)
    yield "call tones", "ringing", sounds.signal_tone(seconds, -14, 1.0, 1.5)


_ECHOES = (
    (0.03, -20), (0.08, -26), (0.12, -20), (0.18, -26), (0.25, -20), (0.25, -32), (0.1, -40),
)  # fmt: skip


def _echoes(seconds: float) -> Iterator[Item]:
    for voice, law in (("slt", "ulaw"), ("rms", "alaw")):
        agent, wire = reply(seconds, law, voice)
        for delay_s, gain_db in _ECHOES:
            for mobile in (False, True):
                sound = sounds.echo(agent, delay_s, gain_db, mobile=mobile)
                sound += sounds.comfort(seconds, -60)[: len(sound)]
                kind = "echo by a mobile" if mobile else "echo"
                name = f"{voice}, {1000 * delay_s:g} ms, {gain_db} dB"
                made = _item(kind, name, law, [], sound, Expected.NOTHING)
                phrase = _Phrase(_REPLY, spoken(_REPLY, voice, AGENT_DBFS), delay_s)
                words = tuple(said for said in phrase.words() if said.end_s < seconds)
                yield _with_agent(made, wire, words)


def _with_agent(item: Item, agent: bytes, words: tuple[Said, ...] = ()) -> Item:
    return Item(
        item.kind, item.name, item.expected, item.pcm, item.law, item.speech, item.loud,
        item.words, agent, words,
    )  # fmt: skip


def labelled_set() -> list[Item]:
    """Make all of it: half an hour of sound."""
    return [*turns(), *pauses(), *barge_ins(), *noises()]
