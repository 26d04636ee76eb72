"""Speech or not, per 20 ms frame: Silero's network, asked only about sounds that might be it.

The network tells voices from noise, music and tones, but it hears a voice in the next room as
well, and it hears it for a while longer than it lasts. So what it calls speech must also stand
out: from silence, from the noise of the line (the quietest moment of the last seconds), and
from the voice that was near the telephone a moment ago. Measured by `tests/bench/turns.py`.
"""

from __future__ import annotations

import audioop
from math import log10

from sovereign_ari.media.pcm import FRAME_S
from sovereign_ari.media.silero import Silero, judge, network

FAINTEST_DBFS = -50.0
"""Fainter sounds are never speech, and cost nothing."""

LOUDEST_FLOOR_DBFS = -35.0
"""No line is noisier: what never falls below this is a voice without pauses, not a floor."""

_PROBABLE = 0.4
_ABOVE_FLOOR = 1.5  # 3.5 dB
_FLOOR_WINDOW_FRAMES = 50  # the floor is the quietest frame of the last 1 to 2 s
_BELOW_VOICE = 10 ** (-24 / 20)
_VOICE_FADES = 10 ** (-2 / 20 * FRAME_S)  # 2 dB in a second: somebody else may take the telephone
_BRIDGED_FRAMES = 2  # a word is not over with its first faint frame
_LISTENS_FRAMES = 15  # to what follows a sound that might be speech
_FULL_SCALE = 32768.0
_SILENCE_DBFS = -96.0


def warm_up() -> None:
    """Load the network, which takes a tenth of a second: not for the time of a call."""
    network()


def level_dbfs(pcm: bytes) -> float:
    """Return the RMS level of PCM16: 0 for a full-scale square wave, -96 for silence."""
    level = audioop.rms(pcm, 2)
    return 20 * log10(level / _FULL_SCALE) if level else _SILENCE_DBFS


class VoiceActivity:
    """Decides about the frames of one stream, in order.

    Args:
        rate_hz: 8000 or 16000, what the network knows.

    Attributes:
        stream: What the network has to be asked about.
        level: RMS of the latest frame.
    """

    def __init__(self, rate_hz: int) -> None:
        if rate_hz not in (8000, 16000):
            raise ValueError(f"{rate_hz} Hz is not 8000 or 16000")
        self._rate_hz = rate_hz
        self._frame_bytes = round(rate_hz * FRAME_S) * 2
        self.stream = Silero(rate_hz)
        self.level = 0
        self._faintest = _FULL_SCALE * 10 ** (FAINTEST_DBFS / 20)
        self._loudest_floor = _FULL_SCALE * 10 ** (LOUDEST_FLOOR_DBFS / 20)
        self._earlier_floor = 0.0
        self._floor = _FULL_SCALE
        self._floor_frames = 0
        self._voice = 0.0
        self._bridged = 0
        self._listening = 0

    def is_speech(self, pcm: bytes) -> bool:
        """Judge 20 ms of PCM16 at once.

        Raises:
            ValueError: If it is not exactly 20 ms.
        """
        if self.listen(pcm):
            judge((self.stream,))
        return self.verdict()

    def listen(self, pcm: bytes) -> bool:
        """Take the next 20 ms of PCM16.

        Returns:
            Whether `silero.judge` has to be asked about the stream before the `verdict`.

        Raises:
            ValueError: If it is not exactly 20 ms.
        """
        if len(pcm) != self._frame_bytes:
            raise ValueError(f"{len(pcm)} bytes are not 20 ms at {self._rate_hz} Hz")
        self.level = level = audioop.rms(pcm, 2)
        audible = level > self._threshold()
        self._follow_floor(level)
        self._listening = _LISTENS_FRAMES if audible else self._listening - 1
        if self._listening <= 0:
            self.stream.skip(pcm)
            return False
        near = audible and level > self._voice * _BELOW_VOICE
        self._bridged = _BRIDGED_FRAMES if near else self._bridged - 1
        self.stream.take(pcm)
        return self.stream.is_due

    @property
    def is_faint(self) -> bool:
        """Whether the latest frame was taken for speech only because of the one before it."""
        return self._bridged < _BRIDGED_FRAMES

    def verdict(self) -> bool:
        """Say whether the frame that was taken last is speech; to be asked once for each."""
        if self._listening <= 0:
            return False
        speech = self._bridged > 0 and self.stream.probability > _PROBABLE
        self._voice *= _VOICE_FADES
        if speech:
            self._voice = max(self._voice, self.level)
        return speech

    def _threshold(self) -> float:
        floor = min(self._floor, self._earlier_floor, self._loudest_floor)
        return max(self._faintest, _ABOVE_FLOOR * floor)

    def _follow_floor(self, level: int) -> None:
        self._floor = min(self._floor, level)
        self._floor_frames += 1
        if self._floor_frames == _FLOOR_WINDOW_FRAMES:
            self._earlier_floor, self._floor = self._floor, _FULL_SCALE
            self._floor_frames = 0
