"""What was said in a recording: tones read back, or real speech told apart by a recogniser."""

from __future__ import annotations

import audioop
import functools
import json
import re
from collections.abc import Sequence

from pocketsphinx import Decoder

from tests.support import tone_code
from tests.support.recording import Heard
from tests.support.speech_samples import noise, resampled, silence

_MODEL_HZ = 16000
_FLOOR_DBFS = -66.0


def tones_heard(heard: Heard, from_s: float, to_s: float) -> list[str]:
    """Read the texts of the fake synthesiser out of what a telephone heard."""
    return tone_code.decode(heard.pcm(from_s, to_s), heard.rate_hz)


def best_match(pcm: bytes, rate_hz: int, candidates: Sequence[str]) -> str:
    """Choose which of these sentences a recording contains; empty when it is none of them.

    Offline and by grammar: it tells a few sentences apart, it does not take dictation.
    """
    decoder = _decoder(tuple(candidates))
    padded = silence(0.3, rate_hz) + pcm + silence(0.3, rate_hz)
    sound = resampled(padded, rate_hz, _MODEL_HZ)
    # The recogniser takes the logarithm of the spectrum: digital silence would confuse it.
    floor = noise(len(sound) / 2 / _MODEL_HZ, _MODEL_HZ, _FLOOR_DBFS)
    sound = audioop.add(sound, floor[: len(sound)], 2)
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    found = "" if hypothesis is None else hypothesis.hypstr.strip()
    return next((text for text in candidates if _plain(text) == found), "")


@functools.lru_cache(maxsize=8)
def _decoder(candidates: tuple[str, ...]) -> Decoder:
    decoder = Decoder(samprate=float(_MODEL_HZ), loglevel="FATAL", lm=None)
    sentences = " | ".join(_plain(text) for text in candidates)
    decoder.add_jsgf_string(
        "candidates", f"#JSGF V1.0;\ngrammar heard;\npublic <heard> = {sentences};\n"
    )
    decoder.activate_search("candidates")
    return decoder


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def as_text(value: object) -> str:
    """Show any answer of the API in an assertion message."""
    return json.dumps(value, indent=1, default=str)
