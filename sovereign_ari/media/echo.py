"""Whether what comes from the caller is our own voice: an echo of what we sent a moment ago.

A line, or a telephone on its loudspeaker, returns us 30 to 500 ms later and fainter, as speech
that no detector of speech can tell from the caller's. A sound that matches what we sent, sample
by sample, is an echo. When such matches agree about the delay, the echo's level can be expected,
and what is not clearly louder than that is echo as well, also where a codec has bent it.
"""

from __future__ import annotations

import audioop
from collections import deque
from collections.abc import Callable, Iterable
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.pcm import FRAME_S

SENT_FRAMES = 30
"""How much of what was sent is looked through: 0.6 s."""

_RATE_HZ = 8000  # an echo has nothing above the telephone band that would help
_FRAME = round(_RATE_HZ * FRAME_S)
_COMPARED_FRAMES = 4
_TRANSFORMED = 5120  # samples: as long as what was sent, and quick to transform
_STRONGEST = 10 ** (-14 / 20)  # of the loudest that was sent: stronger echoes are not told
_MATCH = 0.6  # callers match 0.1 to 0.45 by chance, echoes 0.6 to 0.96
_WEAK_MATCH = 0.45  # at the delay that is known
_SAME_DELAY = round(0.03 * _RATE_HZ)  # packets come and leave a frame earlier or later
_MATCHES_TO_KNOW = 3
_MOST_MATCHES = 50
_LOUDER = 10 ** (6 / 20)
_SILENT = 32768 * 10 ** (-60 / 20)
_FADES = 10 ** (-0.5 / 20)
_CLEAR = 8  # frames of one voice that match nothing, and its next ones are not all looked at
_MOST_SELDOM = 8
_RENEWED = 2  # for each frame between two words
_SEARCHES = 60  # in all, for echoes too faint to be taken for speech

Samples = NDArray[np.float32]


class EchoGuard:
    """Watches one call, whose frames both ways are to be told in the order of time.

    Args:
        rate_hz: Of all PCM here: 8000 or 16000.
        decode: Makes PCM16 of a frame that was sent.
    """

    def __init__(self, rate_hz: int, decode: Callable[[bytes], bytes]) -> None:
        self._halve = rate_hz != _RATE_HZ
        self._decode = decode
        self._silence = bytes(2 * round(rate_hz * FRAME_S))
        self._heard: deque[bytes] = deque(maxlen=_COMPARED_FRAMES)
        self._sent = deque([self._silence] * SENT_FRAMES, maxlen=SENT_FRAMES)
        self._levels = deque([0] * SENT_FRAMES, maxlen=SENT_FRAMES)
        self._unread: deque[bytes | None] = deque(maxlen=SENT_FRAMES)
        self._audible_frames = 0  # for so long what was sent may come back
        self._misses = 0
        self._searched_at = 0
        self._number = 0
        self._matched_at = -_COMPARED_FRAMES
        self._matches = 0
        self._delay = 0
        self._gain = 0.0
        self._searches = _SEARCHES

    @property
    def delay_s(self) -> float | None:
        """After how long the echo of this line comes; None as long as none is known."""
        return self._delay / _RATE_HZ if self._known else None

    @property
    def _known(self) -> bool:
        return self._matches >= _MATCHES_TO_KNOW

    def sent(self, frame: bytes | None) -> None:
        """Note 20 ms that left; None for silence."""
        self._unread.append(frame)
        self._audible_frames = SENT_FRAMES if frame else self._audible_frames - 1

    def is_echo(self, pcm: bytes, level: int, *, voiced: bool) -> bool:
        """Judge the next 20 ms that were heard.

        Args:
            pcm: What was heard.
            level: Its RMS.
            voiced: Whether it is speech. Other sounds are searched for echoes only until one is
                known, and not for ever: it is what costs most here.
        """
        self._heard.append(pcm)
        self._number += 1
        if not voiced and self._misses:
            self._misses = max(0, self._misses - _RENEWED)
        if self._audible_frames <= 0 or (level < _SILENT and not voiced):
            return False
        self._read_sent()
        loudest = max(self._levels)
        if loudest < _SILENT or level > loudest * _STRONGEST:
            return False
        if self._known and level <= self._expected() * _LOUDER:
            return True
        if not (self._must_search() if voiced else self._may_search(level)):
            return False
        self._searched_at = self._number
        found = self._matches_sent()
        self._misses = 0 if found else self._misses + 1
        return found

    def _read_sent(self) -> None:
        """Decode what was sent: only now, for mostly nobody asks."""
        for frame in self._unread:
            pcm = self._decode(frame) if frame else b""
            self._sent.append(pcm or self._silence)
            self._levels.append(audioop.rms(pcm, 2))
        self._unread.clear()

    def _must_search(self) -> bool:
        """Whether to look at this voice: always when it is new, then now and then."""
        every_frames = min(_MOST_SELDOM, self._misses // _CLEAR * _COMPARED_FRAMES)
        return self._number - self._searched_at >= every_frames

    def _may_search(self, level: int) -> bool:
        if self._known or level < _SILENT or self._number % _COMPARED_FRAMES or not self._searches:
            return False
        self._searches -= 1
        return True

    def _expected(self) -> float:
        """How loud an echo may be now."""
        newest = SENT_FRAMES - 1 - self._delay // _FRAME
        around = range(max(0, newest - 2), min(SENT_FRAMES, newest + 2))
        loudest = max(self._levels[at] for at in around)
        return loudest * self._gain if loudest > _SILENT else 0.0

    def _matches_sent(self) -> bool:
        if len(self._heard) < _COMPARED_FRAMES:
            return False
        match, delay, gain = _best_match(self._samples(self._heard), self._samples(self._sent))
        near = self._matches > 0 and abs(delay - self._delay) <= _SAME_DELAY
        if match < (_WEAK_MATCH if near and self._known else _MATCH):
            return False
        if self._number - self._matched_at >= _COMPARED_FRAMES:
            self._matched_at = self._number
            self._note(delay, gain, near=near)
        return True

    def _note(self, delay: int, gain: float, *, near: bool) -> None:
        if near:
            self._matches = min(self._matches + 1, _MOST_MATCHES)
            self._gain = max(gain, self._gain * _FADES)
        elif self._matches > 1:
            self._matches -= 1
            return
        else:
            self._matches, self._gain = 1, gain
        self._delay = delay

    def _samples(self, frames: Iterable[bytes]) -> Samples:
        samples = np.frombuffer(b"".join(frames), dtype="<i2").astype(np.float32)
        return samples.reshape(-1, 2).mean(axis=1) if self._halve else samples


def _best_match(heard: Samples, said: Samples) -> tuple[float, int, float]:
    """Find what was said most like what was heard.

    Returns:
        The correlation (0 to 1), how many samples ago it was said, and how loud it came back.
    """
    # The differences: low tones would match any other low tone.
    both: Samples = np.zeros((2, _TRANSFORMED), dtype=np.float32)
    old, new = both[0, : len(said)], both[1, : len(heard)]
    np.subtract(said[1:], said[:-1], out=old[1:])
    np.subtract(heard[1:], heard[:-1], out=new[1:])
    spectra = np.fft.rfft(both)
    starts = len(old) - len(new) + 1
    products = np.fft.irfft(spectra[0] * spectra[1].conj(), _TRANSFORMED)[:starts]
    sums = np.concatenate(([0.0], np.cumsum(old * old, dtype=np.float64)))
    energies = sums[len(new) :] - sums[: -len(new)]
    # Near silence would match anything.
    energies = np.maximum(energies, energies.max() * 0.01 + 1.0)
    energy = float(new @ new) + 1.0
    squares = products * products / energies
    best = int(squares.argmax())
    gain = sqrt(energy / float(energies[best]))
    return sqrt(float(squares[best]) / energy), starts - 1 - best, gain
