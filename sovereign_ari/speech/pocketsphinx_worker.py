"""The recogniser's process: `python -m sovereign_ari.speech.pocketsphinx_worker`.

Recognition holds the interpreter for tens of milliseconds at a time, which the audio of other
calls cannot bear; so it has a process of its own, which serves all calls of a controller.

An utterance is recognised as a whole, when the caller has paused for a moment or at a flush:
only then is the channel's long-term spectrum known, without which short words such as "yes" are
misheard. What was recognised at the pause is the answer to a flush that follows it.
"""

from __future__ import annotations

import audioop
import ctypes
import json
import math
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pocketsphinx import Decoder

from sovereign_ari.speech.pocketsphinx_wire import HEADER, MAX_BODY_BYTES, Kind, pack

RATE_HZ = 16000  # of the model that comes with pocketsphinx
BLOCK = RATE_HZ // 50
BYTES_PER_S = 2 * RATE_HZ
MAX_UTTERANCE_S = 15.0
PAUSE_S = 0.24
MIN_SPEECH_S = 0.10
_PAD_S = 0.15
_LOUD_RMS = 100.0  # -50 dBFS
_FLOOR_MARGIN = 3.0
_KEPT_GRAMMARS = 16

# Log score per 10 ms frame against the best of all sounds. In-grammar speech over G.711 lies
# between -0.0051 and -0.0032; speech outside the grammar below -0.0057; noise above -0.0026.
_WORST_SCORE = -0.0055
_BEST_SCORE = -0.0028

_PR_SET_PDEATHSIG = 1

Samples = NDArray[np.int16]


@dataclass(slots=True)
class Utterance:
    """What one caller said since the last flush; PCM16 at 16 kHz."""

    encoding: str
    search: str | None
    audio: bytearray = field(default_factory=bytearray)
    floor_rms: float = _LOUD_RMS
    speech_s: float = 0.0
    quiet_s: float = 0.0
    words: str | None = None  # recognised at a pause, None when speech came after it

    def add(self, payload: bytes) -> bool:
        """Take audio; return whether the caller has just paused after speaking."""
        pcm = _pcm_16k(payload, self.encoding)
        self.audio += pcm
        del self.audio[: max(0, len(self.audio) - int(MAX_UTTERANCE_S * BYTES_PER_S))]
        duration_s = len(pcm) / BYTES_PER_S
        rms = audioop.rms(pcm, 2) if pcm else 0
        self.floor_rms += 0.02 * (min(rms, 4 * self.floor_rms) - self.floor_rms)
        if rms > max(_LOUD_RMS, _FLOOR_MARGIN * min(self.floor_rms, 400.0)):
            self.speech_s += duration_s
            self.quiet_s = 0.0
            self.words = None
            return False
        before_s, self.quiet_s = self.quiet_s, self.quiet_s + duration_s
        return self.speech_s >= MIN_SPEECH_S and before_s < PAUSE_S <= self.quiet_s

    def restart(self) -> None:
        """Forget the utterance; its last moment may begin the next."""
        del self.audio[: max(0, len(self.audio) - int(_PAD_S * BYTES_PER_S))]
        self.speech_s = self.quiet_s = 0.0
        self.words = None


class Recogniser:
    """Decoders and the grammars they know."""

    def __init__(self) -> None:
        self._decoder = Decoder(
            lm=None, loglevel="FATAL", cmn="batch", bestpath=False, compallsen=True,
            beam=1e-60, wbeam=1e-40, pbeam=1e-60, lw=1.0,
        )  # fmt: skip
        self._dictation: Decoder | None = None
        self._searches: OrderedDict[str, str] = OrderedDict()
        self._made = 0

    def search_for(self, grammar: str | None, phrases: Sequence[str]) -> str | None:
        """Prepare a grammar and name it; None is free dictation.

        Raises:
            ValueError: With a sentence, for a grammar that cannot be used.
        """
        if grammar is None and not phrases:
            return None
        text = grammar if grammar is not None else _grammar_of(phrases)
        for phrase in phrases:
            for word in phrase.lower().split():
                if self._decoder.lookup_word(word) is None:
                    raise ValueError(f"the recogniser does not know the word {word!r}")
        if text in self._searches:
            self._searches.move_to_end(text)
            return self._searches[text]
        self._made += 1
        name = f"grammar-{self._made}"
        try:
            self._decoder.add_jsgf_string(name, text)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                "the grammar is not valid JSGF, or has a word that the recogniser does not know"
            ) from error
        self._searches[text] = name
        return name

    def trim(self, in_use: set[str | None]) -> None:
        """Drop the grammars used longest ago, when there are many."""
        for text, name in list(self._searches.items()):
            if len(self._searches) <= _KEPT_GRAMMARS:
                return
            if name not in in_use:
                self._decoder.remove_search(name)
                del self._searches[text]

    def recognise(self, utterance: Utterance) -> str:
        """Recognise an utterance; empty for silence, noise, and what the grammar has not."""
        pcm = _trimmed(utterance)
        if not pcm:
            return ""
        if utterance.search is None:
            return self._dictate(pcm)
        self._decoder.activate_search(utterance.search)
        words, score = _decode(self._decoder, pcm)
        return words if _WORST_SCORE <= score <= _BEST_SCORE else ""

    def _dictate(self, pcm: bytes) -> str:
        if self._dictation is None:
            self._dictation = Decoder(loglevel="FATAL", cmn="batch", bestpath=False)
        return _decode(self._dictation, pcm)[0]


def _decode(decoder: Decoder, pcm: bytes) -> tuple[str, float]:
    decoder.start_utt()
    decoder.process_raw(pcm, no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    if hypothesis is None or not hypothesis.hypstr or hypothesis.score <= 0:
        return "", 0.0
    frames = len(pcm) / BYTES_PER_S * 100
    return str(hypothesis.hypstr), math.log(hypothesis.score) / frames


def _trimmed(utterance: Utterance) -> bytes:
    """Cut the silence before and after the speech."""
    samples = np.frombuffer(bytes(utterance.audio), dtype="<i2").astype(np.float32)
    blocks = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)
    if not len(blocks):
        return b""
    rms = np.sqrt(np.mean(blocks**2, axis=1))
    loud = np.flatnonzero(rms > max(_LOUD_RMS * 0.6, 0.03 * float(rms.max())))
    if len(loud) * BLOCK < MIN_SPEECH_S * RATE_HZ or float(rms.max()) < _LOUD_RMS:
        return b""
    pad = int(_PAD_S * RATE_HZ)
    first = max(0, int(loud[0]) * BLOCK - pad)
    last = min(len(samples), (int(loud[-1]) + 1) * BLOCK + pad)
    return bytes(utterance.audio[2 * first : 2 * last])


def _pcm_16k(payload: bytes, encoding: str) -> bytes:
    if encoding == "pcm16":
        return payload
    pcm = audioop.ulaw2lin(payload, 2) if encoding == "ulaw" else audioop.alaw2lin(payload, 2)
    # Each sample twice. Its images above 4 kHz stand in for what the telephone took away, which
    # the model recognises better than nothing there.
    return np.repeat(np.frombuffer(pcm, dtype="<i2"), 2).tobytes()


def _grammar_of(phrases: Sequence[str]) -> str:
    choices = " | ".join(" ".join(phrase.lower().split()) for phrase in phrases)
    return f"#JSGF V1.0;\ngrammar phrases;\npublic <phrase> = {choices};\n"


class Worker:
    """Answers messages, one at a time."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._recogniser = Recogniser()
        self._utterances: dict[int, Utterance] = {}

    def on_message(self, kind: int, stream: int, body: bytes) -> None:
        """Handle one message; those of a stream that is not open are late and mean nothing."""
        if kind == Kind.OPEN:
            self._open(stream, json.loads(body))
            return
        utterance = self._utterances.get(stream)
        if utterance is None:
            return
        if kind == Kind.AUDIO:
            if utterance.add(body):
                utterance.words = self._recogniser.recognise(utterance)
                self._send(Kind.PARTIAL, stream, utterance.words)
        elif kind == Kind.FLUSH:
            words = utterance.words
            if words is None:
                words = self._recogniser.recognise(utterance)
            utterance.restart()
            self._send(Kind.FINAL, stream, words)
        elif kind == Kind.CLOSE:
            del self._utterances[stream]

    def _open(self, stream: int, config: Mapping[str, Any]) -> None:
        self._recogniser.trim({utterance.search for utterance in self._utterances.values()})
        try:
            search = self._recogniser.search_for(config["grammar"], config["phrases"])
        except ValueError as error:
            self._send(Kind.REFUSED, stream, str(error))
            return
        self._utterances[stream] = Utterance(config["encoding"], search)
        self._send(Kind.OPENED, stream, "")

    def _send(self, kind: Kind, stream: int, text: str) -> None:
        self._output.write(pack(kind, stream, text.encode()))
        self._output.flush()


def main() -> None:
    """Serve until standard input ends or the parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    os.nice(5)  # audio is more urgent than words
    worker = Worker(sys.stdout.buffer)
    source = sys.stdin.buffer
    while len(header := source.read(HEADER.size)) == HEADER.size:
        size, kind, stream = HEADER.unpack(header)
        if size > MAX_BODY_BYTES:
            return
        worker.on_message(kind, stream, source.read(size))


if __name__ == "__main__":
    main()
