"""What each frame of a caller is: speech, our own echo, or neither."""

from __future__ import annotations

import audioop
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sovereign_ari.media.echo import SENT_FRAMES, EchoGuard
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.transcode import decoder_for

_WORD_LEVEL = 32768 * 10 ** (-40 / 20)
_SHORTEST_FRAMES = 15
_LONGEST_FRAMES = 500  # who goes on for longer is not asking anything
_QUIET_FRAMES = 20
_ASKED_EVERY_FRAMES = 250


class SpeechDetector(Protocol):
    """Decides about the frames of one stream, in order."""

    def is_speech(self, pcm: bytes) -> bool:
        """Judge 20 ms of PCM16 at the rate that it was made for."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of the caller.

    Attributes:
        voiced: Whether the caller speaks in it.
        echo: Whether it is what we sent, come back: nothing that a recogniser should get.
        doubtful: Whether it ends something as loud and as long as words that was not taken for
            speech: a whisper, a strange voice, or no words at all.
    """

    voiced: bool
    echo: bool
    doubtful: bool = False


class _Doubt:
    """Finds sounds that might have been words although no detector thought so."""

    def __init__(self) -> None:
        self._loud = self._quiet = 0
        self._patience = 0

    def ended(self, pcm: bytes, *, voiced: bool, echo: bool) -> bool:
        """Take the next frame; True at most once in five seconds."""
        self._patience -= 1
        if voiced or echo:
            self._loud = 0
        elif audioop.rms(pcm, 2) > _WORD_LEVEL:
            self._loud, self._quiet = self._loud + 1, 0
        elif self._loud:
            self._quiet += 1
            if self._quiet >= _QUIET_FRAMES:
                words = _SHORTEST_FRAMES <= self._loud <= _LONGEST_FRAMES
                self._loud = 0
                if words and self._patience <= 0:
                    self._patience = _ASKED_EVERY_FRAMES
                    return True
        return False


class Hearing:
    """Judges the audio of one caller.

    Args:
        wire: Format of what is heard.
        sent: Format of what is sent, at the same rate.
        detector: Knows speech, ours as well.
    """

    def __init__(self, wire: AudioFormat, sent: AudioFormat, detector: SpeechDetector) -> None:
        self._decoder = decoder_for(wire)
        self._sent_decoder = decoder_for(sent)
        self._detector = detector
        self._guard = EchoGuard(wire.rate_hz)
        self._doubt = _Doubt()

    def judge(self, frame: bytes, sent: Iterable[bytes | None]) -> Heard:
        """Judge the next 20 ms.

        Args:
            frame: As it stood on the wire.
            sent: The frames that left since the last one was judged, None for silence.
        """
        for left in list(sent)[-SENT_FRAMES:]:
            self._guard.sent(left and self._sent_decoder.decode(left))
        pcm = self._decoder.decode(frame)
        speech = self._detector.is_speech(pcm)
        echo = self._guard.is_echo(pcm, voiced=speech)
        voiced = speech and not echo
        return Heard(voiced, echo, self._doubt.ended(pcm, voiced=voiced, echo=echo))
