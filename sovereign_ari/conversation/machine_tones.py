"""A conversation that we began and that nobody screens: it still hears a fax, and a dead line.

There is nobody to talk to where a fax answers, where three rising tones announce that the number
is out of service, or where the line is busy after an answer: the call ends, and says why.
"""

from __future__ import annotations

from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.terms import Providers, Reporting
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.answering_machine import END_REASONS, Kind
from sovereign_ari.domain.ids import CallId
from sovereign_ari.media.pcm import FRAME_S, AudioFormat
from sovereign_ari.media.tones import Signal, ToneDetector
from sovereign_ari.media.transcode import decoder_for

LISTENS_S = 20.0  # of the answer: two bursts of a calling fax are heard by then

_KINDS: dict[Signal, Kind] = {
    "fax": Kind.FAX,
    "special": Kind.OUT_OF_SERVICE,
    "busy": Kind.BUSY,
}


class OutboundDialogue(Dialogue):
    """Talks with whoever answers, unless it is no one. See `Dialogue`."""

    def __init__(
        self,
        call_id: CallId,
        assistant: Assistant,
        providers: Providers,
        mouth: Mouth,
        wire: AudioFormat,
        reporting: Reporting,
    ) -> None:
        super().__init__(call_id, assistant, providers, mouth, wire, reporting)
        self._note = reporting.note
        self._tones: ToneDetector | None = ToneDetector(wire.rate_hz)
        self._decoder = decoder_for(wire)
        self._heard_s = 0.0

    def hear(self, frame: bytes, now_s: float) -> None:
        """Take 20 ms of the callee's audio."""
        if self._tones is not None:
            self._listen_for_tones(self._tones, frame)
        super().hear(frame, now_s)

    def _listen_for_tones(self, tones: ToneDetector, frame: bytes) -> None:
        self._heard_s += FRAME_S
        if self._heard_s > LISTENS_S:
            self._tones = None
        if (signal := tones.hear(self._decoder.decode(frame))) not in _KINDS:
            return
        assert signal is not None
        kind = _KINDS[signal]
        self._tones = None
        facts = {"kind": kind.value, "after_s": round(self._heard_s, 2), "because": [signal]}
        self._note("answered_by", facts)
        self._close(None, END_REASONS[kind])
