"""What each frame of a caller is: speech, our own echo, or neither."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sovereign_ari.media.echo import SENT_FRAMES, EchoGuard
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.transcode import decoder_for


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
    """

    voiced: bool
    echo: bool


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
        return Heard(speech and not echo, echo)
