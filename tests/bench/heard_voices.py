"""How well words are found in the speech of real voices, without calls.

Several voices speak sentences; pocketsphinx, which knows their words, says where each lies; and
the ledger, which knows the letters only, is asked for what was heard at many offsets: when all of
the audio is there, and when it is still coming. `python -m tests.bench.heard_voices`
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from pocketsphinx import Decoder

from sovereign_ari.media.ledger import Pace, SpokenLedger
from sovereign_ari.media.pcm import PCM_8K
from tests.support.speech_samples import silence, speech

VOICES = ("slt", "en-us", "en-gb")
OFFSETS = 40
PAD_S = 0.5
SENTENCES = """We are open on Monday from nine in the morning, and on Saturday until noon.
I am sorry, I did not understand that.
Your appointment has been moved to Tuesday the fourth of March at three o'clock.
Could you please tell me your telephone number, so that we can call you back?
Unfortunately, there is no table available this evening, but I could offer you one tomorrow.
The repair will take about two hours and costs eighty five dollars.
A room with a view of the sea is more expensive than a room on the other side of the building.
Please hold the line, I will connect you with one of my colleagues.
If you want to cancel your subscription, you can do so at any time before the end of the month.
That is a very good question, and I would be happy to explain it to you in more detail.
The nearest station is about ten minutes on foot, and there are buses every hour.""".split("\n")

Spans = list[tuple[float, float]]


def where_words_are(text: str, voice: str) -> Spans | None:
    """Ask a recogniser that knows the words; None when it does not find them all."""
    words = [re.sub(r"[^a-z']", "", word) for word in text.lower().split()]
    pad = silence(PAD_S, 16000)
    decoder = Decoder(samprate=16000.0, loglevel="FATAL", lm=None)
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(pad + speech(text, 16000, voice) + pad, full_utt=True)
    decoder.end_utt()
    found = decoder.seg() if decoder.hyp() is not None else None
    spans = [
        (segment.start_frame / 100 - PAD_S, (segment.end_frame + 1) / 100 - PAD_S)
        for segment in found or ()
        if segment.word[0] not in "<["
    ]
    return spans if len(spans) == len(words) else None


def errors(text: str, pcm: bytes, spans: Spans, pace: Pace) -> tuple[Counter[int], Counter[int]]:
    """Ask at many offsets: with all of the audio, and with up to a second ahead of the caller."""
    chance = random.Random(text)
    whole, coming = Counter[int](), Counter[int]()
    for _ in range(OFFSETS):
        at_s = chance.uniform(0.2, spans[-1][1])
        ahead = PCM_8K.bytes_for(at_s + chance.uniform(0, 1))
        truth = sum((begin + end) / 2 <= at_s for begin, end in spans)
        part = SpokenLedger(PCM_8K, pace)
        part.begin(text)
        part.extend(pcm[:ahead])
        coming[_words(part, at_s) - truth] += 1
        part.extend(pcm[ahead:])
        part.end()
        whole[_words(part, at_s) - truth] += 1
    return whole, coming


def _words(ledger: SpokenLedger, at_s: float) -> int:
    return len(ledger.heard(PCM_8K.bytes_for(at_s)).split())


def _shown(counted: Counter[int], words: Sequence[int] = (-1, 0, 1)) -> str:
    within = sum(counted[error] for error in words)
    spread = {f"{error:+d}": counted[error] for error in sorted(counted)}
    return f"{100 * within / max(1, counted.total()):5.1f} % within a word   {spread}"


def main() -> None:
    """Print the distributions, voice by voice."""
    for voice in VOICES:
        whole, coming, pace, used = Counter[int](), Counter[int](), Pace(), 0
        for text in SENTENCES:
            if (spans := where_words_are(text, voice)) is None:
                continue
            used += 1
            found = errors(text, speech(text, 8000, voice), spans, pace)
            whole.update(found[0])
            coming.update(found[1])
        print(f"{voice}, {used} sentences")
        print(f"  all audio there    {_shown(whole)}")
        print(f"  audio still coming {_shown(coming)}")


if __name__ == "__main__":
    main()
