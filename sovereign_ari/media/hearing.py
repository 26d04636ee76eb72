"""What each frame of a caller is: speech, our own echo, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sovereign_ari.media.echo import SENT_FRAMES, EchoGuard
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.silero import Silero, judge
from sovereign_ari.media.transcode import decoder_for
from sovereign_ari.media.vad import VoiceActivity

_WORD_LEVEL = 32768 * 10 ** (-40 / 20)
_SHORTEST_FRAMES = 15
_LONGEST_FRAMES = 500  # who goes on for longer is not asking anything
_QUIET_FRAMES = 20
_ASKED_EVERY_FRAMES = 250


class Heard(NamedTuple):
    """A frame of the caller.

    Attributes:
        voiced: Whether the caller speaks in it.
        echo: Whether it is what we sent, come back: nothing that a recogniser should get.
        doubtful: Whether it ends something as loud and as long as words that was not taken for
            speech: a whisper, a strange voice, or no words at all.
        faint: Whether the caller speaks in it only if he goes on: his voice has died away.
    """

    voiced: bool
    echo: bool
    doubtful: bool = False
    faint: bool = False


class _Doubt:
    """Finds sounds that might have been words although no detector thought so."""

    def __init__(self) -> None:
        self._loud = self._quiet = 0
        self._patience = 0

    def ended(self, level: float, *, voiced: bool, echo: bool) -> bool:
        """Take the level of the next frame; True at most once in five seconds."""
        self._patience -= 1
        if voiced or echo:
            self._loud = 0
        elif level > _WORD_LEVEL:
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
        sent: Format of what is sent, at the same rate; its frames can be decoded in any order.

    Attributes:
        pcm: The latest frame as PCM16.
    """

    def __init__(self, wire: AudioFormat, sent: AudioFormat) -> None:
        self.pcm = b""
        self._decode = decoder_for(wire).decode
        self._activity = VoiceActivity(wire.rate_hz)
        self._guard = EchoGuard(wire.rate_hz, decoder_for(sent).decode)
        self._doubt = _Doubt()

    @property
    def stream(self) -> Silero:
        """What the network has to be asked about."""
        return self._activity.stream

    def judge(self, frame: bytes, sent: Sequence[bytes | None]) -> Heard:
        """Judge the next 20 ms at once; see `listen`."""
        if self.listen(frame, sent):
            judge((self.stream,))
        return self.verdict()

    def listen(self, frame: bytes, sent: Sequence[bytes | None]) -> bool:
        """Take the next 20 ms.

        Args:
            frame: As it stood on the wire.
            sent: The frames that left since the last one was taken, None for silence.

        Returns:
            Whether `silero.judge` has to be asked about the stream before the `verdict`.
        """
        for left in sent[-SENT_FRAMES:]:
            self._guard.sent(left)
        self.pcm = self._decode(frame)
        return self._activity.listen(self.pcm)

    def verdict(self) -> Heard:
        """Judge the frame that was taken last; to be asked once for each."""
        speech, level = self._activity.verdict(), self._activity.level
        echo = self._guard.is_echo(self.pcm, level, voiced=speech)
        voiced = speech and not echo
        doubtful = self._doubt.ended(level, voiced=voiced, echo=echo)
        return Heard(voiced, echo, doubtful, voiced and self._activity.is_faint)
