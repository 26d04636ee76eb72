"""The recogniser's process: `python -m sovereign_ari.speech.pocketsphinx_worker`.

Recognition holds the interpreter for tens of milliseconds at a time, which the audio of other
calls cannot bear; so it has a process of its own, which serves all calls of a controller.

An utterance is recognised as a whole, when the caller has paused for a moment or at a flush:
only then is the channel's long-term spectrum known, without which short words such as "yes" are
misheard. What was recognised at the pause is the answer to a flush that follows it.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import re
import signal
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pocketsphinx import Decoder

from sovereign_ari.media.pcm import Encoding
from sovereign_ari.media.utterance import BYTES_PER_S, Utterance
from sovereign_ari.speech.pocketsphinx_wire import HEADER, MAX_BODY_BYTES, Kind, pack

_KEPT_GRAMMARS = 16

# Log score per 10 ms frame against the best of all sounds. In-grammar speech over G.711 lies
# between -0.0051 and -0.0032; speech outside the grammar below -0.0057; noise above -0.0025.
_WORST_SCORE = -0.0055
_BEST_SCORE = -0.0026

_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Stream:
    """One call: what was said, which grammar it may follow, and what was recognised at a pause."""

    utterance: Utterance
    search: str | None
    words: str | None = None


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
        if missing := _undefined_rules(text):
            raise ValueError(f"the grammar has no rule {missing[0]}")
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

    def recognise(self, pcm: bytes, search: str | None) -> str:
        """Recognise an utterance; empty for silence, noise, and what the grammar has not."""
        if not pcm:
            return ""
        if search is None:
            return self._dictate(pcm)
        self._decoder.activate_search(search)
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


def _undefined_rules(grammar: str) -> list[str]:
    """Find rules that are used and not defined; the decoder takes them for silence."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", grammar, flags=re.DOTALL)
    defined = set(re.findall(r"(<[^<>\s]+>)\s*=", code)) | {"<NULL>", "<VOID>"}
    return [name for name in re.findall(r"<[^<>\s]+>", code) if name not in defined]


def _grammar_of(phrases: Sequence[str]) -> str:
    choices = " | ".join(" ".join(phrase.lower().split()) for phrase in phrases)
    return f"#JSGF V1.0;\ngrammar phrases;\npublic <phrase> = {choices};\n"


class Worker:
    """Answers messages, one at a time."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._recogniser = Recogniser()
        self._streams: dict[int, Stream] = {}

    def on_message(self, kind: int, stream: int, body: bytes) -> None:
        """Handle one message; those of a stream that is not open are late and mean nothing."""
        if kind == Kind.OPEN:
            self._open(stream, json.loads(body))
            return
        open_stream = self._streams.get(stream)
        if open_stream is None:
            return
        if kind == Kind.AUDIO:
            self._hear(stream, open_stream, body)
        elif kind == Kind.FLUSH:
            words = open_stream.words
            if words is None:
                words = self._recognise(open_stream)
            open_stream.utterance.restart()
            open_stream.words = None
            self._send(Kind.FINAL, stream, words)
        elif kind == Kind.CLOSE:
            del self._streams[stream]

    def _hear(self, number: int, stream: Stream, audio: bytes) -> None:
        if stream.utterance.add(audio):
            stream.words = self._recognise(stream)
            self._send(Kind.PARTIAL, number, stream.words)
        elif stream.utterance.speaking:
            stream.words = None

    def _recognise(self, stream: Stream) -> str:
        return self._recogniser.recognise(stream.utterance.trimmed(), stream.search)

    def _open(self, stream: int, config: Mapping[str, Any]) -> None:
        self._recogniser.trim({open_stream.search for open_stream in self._streams.values()})
        try:
            search = self._recogniser.search_for(config["grammar"], config["phrases"])
        except ValueError as error:
            self._send(Kind.REFUSED, stream, str(error))
            return
        self._streams[stream] = Stream(Utterance(Encoding(config["encoding"])), search)
        self._send(Kind.OPENED, stream, "")

    def _send(self, kind: Kind, stream: int, text: str) -> None:
        self._output.write(pack(kind, stream, text.encode()))
        self._output.flush()


def main() -> None:
    """Serve until standard input ends or the parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    # The grammar's scanner prints what it does not know to file 1; messages go where it cannot.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    worker = Worker(output)
    source = sys.stdin.buffer
    while len(header := source.read(HEADER.size)) == HEADER.size:
        size, kind, stream = HEADER.unpack(header)
        if size > MAX_BODY_BYTES:
            return
        worker.on_message(kind, stream, source.read(size))


if __name__ == "__main__":
    main()
