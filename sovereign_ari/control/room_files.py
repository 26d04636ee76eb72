"""Where rooms are kept once they are made: each in a file of PCM16 without a header."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from sovereign_ari.media import ambience_clips
from sovereign_ari.media.ambience_clips import CLIPS, LOOP_S

RATES_HZ = (8000, 16000)


@dataclass(frozen=True, slots=True)
class Room:
    """A clip at a rate in Hz. As a text it is `clip-rate`."""

    clip: str
    rate_hz: int

    @classmethod
    def named(cls, name: str) -> Self:
        """Read a name."""
        clip, rate_hz = name.rsplit("-", maxsplit=1)
        return cls(clip, int(rate_hz))

    def __str__(self) -> str:
        return f"{self.clip}-{self.rate_hz}"

    def file(self, folder: Path) -> Path:
        """Name its file, another one for each release of the clips."""
        return folder / f"{self}-{_release()}.pcm"

    def read(self, folder: Path) -> bytes | None:
        """Read it; None when nobody has made it, or not the whole of it is there."""
        try:
            loop = self.file(folder).read_bytes()
        except FileNotFoundError:
            return None
        return loop if len(loop) == 2 * LOOP_S * self.rate_hz else None


ROOMS = tuple(Room(clip, rate_hz) for rate_hz in RATES_HZ for clip in CLIPS)
"""All that there are, those of most calls first."""


@cache
def _release() -> str:
    return hashlib.sha256(Path(ambience_clips.__file__).read_bytes()).hexdigest()[:12]
