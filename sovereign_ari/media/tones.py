"""Tones that machines send into a call: the beep of a voicemail, fax, special information, busy.

A frame holds a tone when nearly all of its energy stands in one narrow line, or in two, of its
spectrum. Frames in a row that agree make a `Tone`, and tones in time make a signal:

    beep        one line of 400 to 2000 Hz for 0.12 to 1.5 s, silence before and behind it
    fax         2100 Hz for 0.6 s and more (CED and ANSam: ITU-T V.21, T.30 and V.8), or two bursts
                of 1100 Hz, 3.5 s apart (CNG: T.30 section 4.2)
    special     three rising tones near 950, 1400 and 1800 Hz (E.180 section 5.3, and the North
                American variants): what follows says why the number cannot be reached
    busy        three bursts as long as each other, in the bands of busy and reorder tones (E.180)

Voices, music and digits are none of these: their energy stands in many lines, moves, or goes on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import log10
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.pcm import FRAME_S

Signal: TypeAlias = Literal["beep", "fax", "special", "busy"]

_QUIETEST_DBFS = -42.0  # fainter ones are crosstalk
_LINE_HZ = 60.0  # on either side: the main lobe of the window, and a little wobble
_PURE = 0.88
_SECOND_LINE = 0.1  # of the first one's energy: -10 dB
_DRIFT_HZ = 20.0
_BRIDGED_FRAMES = 1
_BEEP_HZ, _BEEP_S = (380.0, 2040.0), (0.09, 1.6)
_QUIET_BEHIND_S = 0.26
_QUIETER_DB = 14.0
_CED_HZ, _CED_S = (2070.0, 2130.0), 0.6
_CNG_HZ, _CNG_S, _CNG_EVERY_S = (1062.0, 1138.0), (0.36, 0.66), (3.0, 4.1)
_SPECIAL_HZ = ((880.0, 1010.0), (1330.0, 1460.0), (1730.0, 1850.0))
_SPECIAL_S, _SPECIAL_GAP_S = (0.2, 0.48), 0.14
_BUSY_HZ, _BUSY_S, _BUSY_UNEVEN_S = (330.0, 650.0), (0.15, 0.6), 0.08
_KEPT = 8

_Spectrum: TypeAlias = NDArray[np.float64]


@dataclass(slots=True)
class Tone:
    """A steady sound of one or two frequencies. Seconds count from the first frame heard.

    Attributes:
        hz: The frequency; of two the stronger one.
        other_hz: The weaker one, 0.0 when there is none.
        level_dbfs: Of its loudest frame.
        began_s: When it began.
        ended_s: When it ended, or the end of its latest frame.
    """

    hz: float
    other_hz: float
    level_dbfs: float
    began_s: float
    ended_s: float

    @property
    def lasts_s(self) -> float:
        """Its length."""
        return self.ended_s - self.began_s

    def is_like(self, other: Tone) -> bool:
        """Whether both sound the same."""
        mine, its = sorted((self.hz, self.other_hz)), sorted((other.hz, other.other_hz))
        return all(abs(one - two) <= _DRIFT_HZ for one, two in zip(mine, its, strict=True))


class ToneDetector:
    """Finds the signals of one stream, frame by frame.

    Args:
        rate_hz: Samples per second of what it hears.

    Attributes:
        latest: The tone that the latest signal ended with.
    """

    def __init__(self, rate_hz: int) -> None:
        self.latest: Tone | None = None
        self._frame = round(rate_hz * FRAME_S)
        self._window: _Spectrum = np.hanning(2 * self._frame)
        self._size = 1024 * rate_hz // 8000
        self._hz_per_line = rate_hz / self._size
        self._full_scale = float(np.sum(self._window)) / 2 * 32768
        self._before: _Spectrum = np.zeros(self._frame)
        self._now_s = 0.0
        self._open: Tone | None = None
        self._missed = 0
        self._told = False  # of what the open tone means
        self._closed: deque[Tone] = deque(maxlen=_KEPT)
        self._awaits_silence: Tone | None = None
        self._quiet_s = 0.0

    def hear(self, pcm: bytes) -> Signal | None:
        """Take 20 ms of PCM16; a signal is told once, as soon as it is certain."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
        self._now_s += FRAME_S
        tone, level_dbfs = self._tone_in(samples)
        self._before = samples
        self._follow(tone)
        return self._open_signal() or self._beep(tone, level_dbfs)

    # What a frame is.

    def _tone_in(self, samples: _Spectrum) -> tuple[Tone | None, float]:
        """The tone of the latest 40 ms, if they are one, and the level of the latest 20."""
        power = float(np.dot(samples, samples)) / self._frame
        level_dbfs = 10 * log10(power / 32768**2 * 2 + 1e-10)
        if level_dbfs < _QUIETEST_DBFS or not self._before.any():
            return None, level_dbfs
        both = np.concatenate((self._before, samples))
        spectrum = np.fft.rfft(both * self._window, self._size)
        energy: _Spectrum = spectrum.real**2 + spectrum.imag**2
        energy[: round(60 / self._hz_per_line)] = 0.0  # hum and offset
        whole = float(energy.sum())
        hz, share, rest = self._strongest(energy, whole)
        if share < _PURE / 2:
            return None, level_dbfs
        if share >= _PURE:
            other_hz = 0.0
        else:
            other_hz, second, _ = self._strongest(rest, whole)
            if share + second < _PURE or second < _SECOND_LINE * share:
                return None, level_dbfs
        began_s = self._now_s - FRAME_S
        return Tone(hz, other_hz, level_dbfs, began_s, self._now_s), level_dbfs

    def _strongest(self, energy: _Spectrum, whole: float) -> tuple[float, float, _Spectrum]:
        """The strongest line: where, its share of all energy, and the spectrum without it."""
        reach = round(_LINE_HZ / self._hz_per_line)
        peak = int(energy.argmax())
        low, high = max(0, peak - reach), peak + reach + 1
        line = energy[low:high]
        inside = float(line.sum())
        centre = float(np.dot(line, np.arange(low, low + len(line)))) / inside if inside else 0.0
        rest = energy.copy()
        rest[low:high] = 0.0
        return centre * self._hz_per_line, inside / whole if whole else 0.0, rest

    # What frames are together.

    def _follow(self, tone: Tone | None) -> None:
        going_on = self._open
        if going_on is not None:
            if tone is not None and going_on.is_like(tone):
                going_on.ended_s = tone.ended_s
                going_on.level_dbfs = max(going_on.level_dbfs, tone.level_dbfs)
                self._missed = 0
                return
            self._missed += 1
            if self._missed <= _BRIDGED_FRAMES:
                return
            self._close(going_on)
        self._open, self._missed, self._told = tone, 0, False

    def _close(self, tone: Tone) -> None:
        if tone.lasts_s < 4 * FRAME_S:
            return
        before = self._closed[-1] if self._closed else None
        silent_before = (
            before is None or tone.began_s - before.ended_s > 0.1 or tone.is_like(before)
        )
        self._closed.append(tone)
        single, told = tone.other_hz == 0.0, self._told
        if single and not told and silent_before and _within(tone.hz, _BEEP_HZ):
            self._awaits_silence, self._quiet_s = tone, 0.0
        else:
            self._awaits_silence = None

    # What tones mean.

    def _open_signal(self) -> Signal | None:
        """What is certain before a tone is over."""
        tone = self._open
        if tone is None or self._told:
            return None
        signal: Signal | None = None
        if _within(tone.hz, _CED_HZ) and tone.lasts_s >= _CED_S:
            signal = "fax"
        elif self._is_special(tone):
            signal = "special"
        elif self._is_calling_fax(tone):
            signal = "fax"
        elif self._is_busy(tone):
            signal = "busy"
        if signal is not None:
            self._told, self._awaits_silence, self.latest = True, None, tone
        return signal

    def _is_special(self, tone: Tone) -> bool:
        if len(self._closed) < 2 or tone.lasts_s < _SPECIAL_S[0]:
            return False
        three = (self._closed[-2], self._closed[-1], tone)
        gaps_s = (three[1].began_s - three[0].ended_s, tone.began_s - three[1].ended_s)
        return (
            all(_within(each.hz, band) for each, band in zip(three, _SPECIAL_HZ, strict=True))
            and all(_within(each.lasts_s, _SPECIAL_S) for each in three[:2])
            and max(gaps_s) <= _SPECIAL_GAP_S
        )

    def _is_calling_fax(self, tone: Tone) -> bool:
        if not (_within(tone.hz, _CNG_HZ) and tone.lasts_s >= _CNG_S[0]):
            return False
        return any(
            _within(each.hz, _CNG_HZ)
            and _within(each.lasts_s, _CNG_S)
            and _within(tone.began_s - each.began_s, _CNG_EVERY_S)
            for each in self._closed
        )

    def _is_busy(self, tone: Tone) -> bool:
        """Whether this is the third of three equal bursts; it may still go on."""
        if len(self._closed) < 2 or not _within(tone.hz, _BUSY_HZ):
            return False
        one, two = self._closed[-2], self._closed[-1]
        pauses_s = (two.began_s - one.ended_s, tone.began_s - two.ended_s)
        return (
            one.is_like(two)
            and two.is_like(tone)
            and all(_within(each.lasts_s, _BUSY_S) for each in (one, two))
            and all(_within(pause_s, (0.1, 0.8)) for pause_s in pauses_s)
            and abs(one.lasts_s - two.lasts_s) <= _BUSY_UNEVEN_S
            and abs(pauses_s[0] - pauses_s[1]) <= _BUSY_UNEVEN_S
            and tone.lasts_s >= two.lasts_s - _BUSY_UNEVEN_S
        )

    def _beep(self, tone: Tone | None, level_dbfs: float) -> Signal | None:
        """Whether a tone that is over was a beep: silence has followed it for long enough."""
        awaited = self._awaits_silence
        if awaited is None:
            return None
        quiet = level_dbfs < max(_QUIETEST_DBFS, awaited.level_dbfs - _QUIETER_DB)
        if tone is not None or not quiet:
            self._awaits_silence = None
            return None
        self._quiet_s = self._now_s - awaited.ended_s
        if self._quiet_s < _QUIET_BEHIND_S:
            return None
        self._awaits_silence = None
        if not _within(awaited.lasts_s, _BEEP_S):
            return None
        self.latest = awaited
        return "beep"


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
