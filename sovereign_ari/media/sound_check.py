"""Whether what came instead of a voice is something else: a file, an error, compressed data. Pure.

Raw samples carry no mark of what they are. Played all the same, anything else is a roar at full
level, in the ear of somebody who cannot turn it down.
"""

from __future__ import annotations

import numpy as np

from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.transcode import decoder_for

HEAD_S = 0.040
"""How much of a sound is looked at."""
LEAST_S = 0.020
"""Less than this is no speech at all."""

_FILES = {
    b"RIFF": "a WAV file",
    b"RIFX": "a WAV file",
    b"FORM": "an AIFF file",
    b"OggS": "an Ogg file",
    b"fLaC": "a FLAC file",
    b"ID3": "an MP3 file",
    b"\x1aE\xdf\xa3": "a WebM file",
    b"\x1f\x8b\x08": "gzip",
    b"....ftyp": "an MP4 file",
}
_MP3_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP3_LOW_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MP3_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_ROAR = 0.3  # of full scale: no voice begins so loud
_ROUGH = (0.35, 0.65)  # samples whose sign differs from the one before: half of them, in noise


def what_it_is(head: bytes, audio: AudioFormat) -> str | None:
    """Name what this is the beginning of, or None when it may be a voice.

    Args:
        head: The first `HEAD_S` of it, or all when there is no more.
        audio: What it should be.
    """
    for mark, name in _FILES.items():
        if all(sign in (ord("."), byte) for sign, byte in zip(mark, head, strict=False)):
            if len(head) >= len(mark):
                return name
    if _is_mp3(head):
        return "an MP3 file"
    if _is_text(head):
        return "text"
    return "compressed data or noise" if _roars(head, audio) else None


def _is_text(head: bytes) -> bool:
    """Whether it is JSON or HTML: an error that came with status 200."""
    if head.lstrip()[:1] not in (b"{", b"[", b"<"):
        return False
    printable = sum(32 <= byte < 127 or byte in b"\r\n\t" for byte in head)
    return printable >= 0.95 * len(head)


def may_be_mp3(head: bytes) -> bool:
    """Whether it begins as a frame of MP3 does; only a second frame tells."""
    return _mp3_frame_bytes(head) > 0


def _is_mp3(head: bytes) -> bool:
    """Whether two headers of frames lie where the first says that the second does."""
    size = _mp3_frame_bytes(head)
    return size > 0 and len(head) >= size + 2 and head[size : size + 2] == head[:2]


def _mp3_frame_bytes(head: bytes) -> int:
    """Length of the MPEG layer III frame that begins here; 0 when none does (ISO 11172-3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, rate, index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or rate == 3 or not 0 < index < 15:
        return 0
    kbps = (_MP3_KBPS if version == 3 else _MP3_LOW_KBPS)[index]
    samples = 144 if version == 3 else 72
    return samples * kbps * 1000 // _MP3_HZ[version][rate] + (head[2] >> 1 & 1)


def _roars(head: bytes, audio: AudioFormat) -> bool:
    pcm = decoder_for(audio).decode(head)
    sound = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float64) / 32768
    if len(sound) < 2 * round(LEAST_S * audio.rate_hz) * 0.9:
        return False
    crossings = float(np.mean(np.signbit(sound[1:]) != np.signbit(sound[:-1])))
    return float(np.sqrt(np.mean(sound**2))) > _ROAR and _ROUGH[0] < crossings < _ROUGH[1]
