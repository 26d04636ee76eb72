"""The detectors of speech that are compared: each judges one item of the labelled set."""

from __future__ import annotations

import audioop
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import webrtcvad

from sovereign_ari.media.hearing import Hearing
from sovereign_ari.media.pcm import PCM_8K
from sovereign_ari.media.silero import Silero
from sovereign_ari.media.vad import VoiceActivity
from sovereign_ari.telephony.silence import TALK_LEVEL
from tests.support.labelled_set import Item

FULL_SCALE = 32768


@dataclass(frozen=True)
class Judged:
    """What a detector said of each frame, and which frames it kept from the recogniser.

    Both further lists are empty for a detector that does not say it.
    """

    voiced: list[bool]
    withheld: list[bool]
    faint: list[bool]


Listener = Callable[[Item], Judged]


class SpeechDetector(Protocol):
    """Decides about the frames of one stream, in order."""

    def is_speech(self, pcm: bytes) -> bool:
        """Judge 20 ms of PCM16 at 8 kHz."""


class Energy:
    """Whatever is loud."""

    def __init__(self, dbfs: float) -> None:
        self._level = FULL_SCALE * 10 ** (dbfs / 20)

    def is_speech(self, pcm: bytes) -> bool:
        return audioop.rms(pcm, 2) > self._level


class WebRtc:
    """WebRTC's detector, by mode: 0 takes most sounds for speech, 3 the fewest."""

    def __init__(self, mode: int) -> None:
        self._detector = webrtcvad.Vad(mode)

    def is_speech(self, pcm: bytes) -> bool:
        return bool(self._detector.is_speech(pcm, 8000))


class WebRtcAboveFloor:
    """WebRTC's strictest mode, above -45 dBFS and 8 dB above the quietest of the last seconds."""

    def __init__(self) -> None:
        self._detector = WebRtc(3)
        self._floors = [0.0, float(FULL_SCALE)]
        self._frames = 0

    def is_speech(self, pcm: bytes) -> bool:
        level = audioop.rms(pcm, 2)
        floor = min(*self._floors, FULL_SCALE * 10 ** (-40 / 20))
        self._floors[1] = min(self._floors[1], level)
        self._frames += 1
        if self._frames % 50 == 0:
            self._floors = [self._floors[1], float(FULL_SCALE)]
        loud = level > max(FULL_SCALE * 10 ** (-45 / 20), 2.5 * floor)
        return self._detector.is_speech(pcm) and loud


class SileroAlone:
    """The network asked about every frame, and nothing else."""

    def __init__(self, threshold: float) -> None:
        self._silero, self._threshold = Silero(8000), threshold

    def is_speech(self, pcm: bytes) -> bool:
        return self._silero.hear(pcm) > self._threshold


class WebRtcThenSilero:
    """WebRTC opens at once; what Silero does not confirm within 100 ms is dropped until quiet."""

    def __init__(self) -> None:
        self._gate, self._silero = WebRtcAboveFloor(), SileroAlone(0.4)
        self._open_frames = 0

    def is_speech(self, pcm: bytes) -> bool:
        gate, confirmed = self._gate.is_speech(pcm), self._silero.is_speech(pcm)
        self._open_frames = self._open_frames + 1 if gate else max(0, self._open_frames - 1)
        return gate and (confirmed or self._open_frames <= 5)


class TalkDetect:
    """What TALK_DETECT of the PBX does, frame by frame: `turns_pbx` asks a real one."""

    def is_speech(self, pcm: bytes) -> bool:
        values = memoryview(pcm).cast("h")
        return sum(map(abs, values)) >= TALK_LEVEL * len(values)


def alone(make: Callable[[], SpeechDetector]) -> Listener:
    """A detector that hears only the caller's side."""

    def listen(item: Item) -> Judged:
        detector = make()
        return Judged([detector.is_speech(pcm) for pcm, _ in item.frames()], [], [])

    return listen


def hears(item: Item) -> Judged:
    """All that the product does with a frame: its detector, and its guard against echoes."""
    hearing = Hearing(PCM_8K, PCM_8K)
    heard = [hearing.judge(pcm, [sent or None]) for pcm, sent in item.frames()]
    return Judged([h.voiced for h in heard], [h.echo for h in heard], [h.faint for h in heard])


def detectors() -> Iterator[tuple[str, Listener]]:
    """All that are compared; the last one is the product's."""
    yield "energy over -45 dBFS", alone(lambda: Energy(-45))
    yield f"TALK_DETECT, threshold {TALK_LEVEL}", alone(TalkDetect)
    for mode in (0, 2, 3):
        yield f"WebRTC, mode {mode}", alone(lambda mode=mode: WebRtc(mode))  # type: ignore[misc]
    yield "WebRTC 3 above the floor", alone(WebRtcAboveFloor)
    for threshold in (0.3, 0.5):
        yield (
            f"Silero over {threshold:g}",
            alone(lambda threshold=threshold: SileroAlone(threshold)),  # type: ignore[misc]
        )
    yield "WebRTC at once, then Silero", alone(WebRtcThenSilero)
    yield "ours, no echo guard", alone(lambda: VoiceActivity(8000))
    yield "ours", hears
