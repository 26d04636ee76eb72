"""A conversation that we began: who answered decides how it goes on (`domain.screening`).

The assistant talks from the first moment as to any human. When a machine is recognised its line is
cut, what the machine says is heard to its end and recorded without an answer, and then the message
is left and the call ends; a human who turns up in the meantime has the assistant back.
"""

from __future__ import annotations

from collections.abc import Sequence

from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.orders import Order
from sovereign_ari.conversation.reply import Reply, ReplyEnd
from sovereign_ari.conversation.terms import Providers, Reporting
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.answering_machine import END_REASONS, Kind, PbxVerdict, Verdict
from sovereign_ari.domain.anticipation import Anticipate
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import EndReason
from sovereign_ari.domain.screening import Outcome as Screened
from sovereign_ari.domain.screening import Screening, State, Step
from sovereign_ari.domain.turn import Decision, EndTurn, Outcome
from sovereign_ari.errors import ProviderError
from sovereign_ari.media.hearing import Heard
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.tones import ToneDetector
from sovereign_ari.media.transcode import decoder_for, silence_frame
from sovereign_ari.speech.base import Transcript

ASKED_WHO_CALLS = (
    "An automatic service answered for the person called, and asks who calls and why. Say in one"
    " sentence who you are and why you call. Say nothing else until a human answers."
)
MENU = "An automatic menu or a waiting loop answered this call, not a human yet."


class ScreenedDialogue(Dialogue):
    """Talks with whoever answers, or leaves a message. See `Dialogue`."""

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
        self._message = assistant.voicemail_message
        self._screening = Screening(leaves_message=self._message is not None)
        self._tones = ToneDetector(wire.rate_hz)
        self._decoder = decoder_for(wire)
        self._nothing = silence_frame(wire)
        self._frames_ahead = 0  # that the tones have heard and the screening has not
        self._greeted = not assistant.greeting(outbound=True)

    @property
    def is_open(self) -> bool:
        """See `Dialogue`; nothing can be said to a voicemail but the message."""
        return super().is_open and not self._screening.hushed

    def pbx_heard(self, verdict: PbxVerdict) -> None:
        """Take what the PBX made of the first seconds."""
        if verdict.status:
            facts = {"status": verdict.status, "cause": verdict.cause}
            self._reporting.note("amd", facts)
            self._follow(self._screening.pbx(verdict))

    def hear(self, frame: bytes, now_s: float) -> None:
        """Take 20 ms of the callee's audio."""
        if self._screening.state is not State.OVER:
            self._listen_for_tones(frame)
        super().hear(frame, now_s)

    def _listen_for_tones(self, frame: bytes) -> None:
        self._frames_ahead += 1
        if (signal := self._tones.hear(self._decoder.decode(frame))) is None:
            return
        tone = self._tones.latest
        assert tone is not None
        facts = {"signal": signal, "hz": round(tone.hz), "lasts_s": round(tone.lasts_s, 2)}
        self._reporting.note("tone", facts)
        self._follow(self._screening.sound(signal))

    def _on_heard(self, heard: Heard, now_s: float) -> None:
        if self._screening.state is not State.OVER:
            if self._frames_ahead <= 0:  # a line that sends nothing is silent
                self._listen_for_tones(self._nothing)
            self._frames_ahead -= 1
            self._follow(self._screening.frame(heard.voiced))
        super()._on_heard(heard, now_s)

    def _on_transcript(self, transcript: Transcript) -> None:
        if not self._closing:
            outcomes = self._screening.words(transcript.text, final=transcript.final)
            self._follow(outcomes)
        super()._on_transcript(transcript)

    def _on_reply_end(self, reply: Reply, end: ReplyEnd) -> None:
        self._greeted = True  # only the greeting can be the first
        super()._on_reply_end(reply, end)

    # What the screening wants.

    def _follow(self, outcomes: Sequence[Screened]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Verdict):
                self._note(outcome)
            elif self._may_act:
                self._do(outcome)

    @property
    def _may_act(self) -> bool:
        """Whether nobody else is ending the conversation, nor has it ended."""
        if not self._closing:
            return True
        return bool(self._screening.awaited) and self._over is not None and not self._over.done()

    def _note(self, verdict: Verdict) -> None:
        facts = {
            "kind": verdict.kind.value,
            "after_s": round(self._screening.now_s, 2),
            "points": verdict.points,
            "because": list(verdict.because),
        }
        self._reporting.note("answered_by", facts)
        if verdict.kind is Kind.IVR:
            self._agent.history.add_context(MENU)

    def _do(self, step: Step) -> None:
        match step:
            case Step.HUSH:
                self._cut()
                self._turns.agent_ended(cut=True)
            case Step.SPEAK_UP:
                if not self._greeted:
                    self._orders.add(Order(self._greeting))
            case Step.INTRODUCE:
                self._introduce()
            case Step.LEAVE_MESSAGE:
                self._end(self._message, {"left": True, "behind": self._screening.awaited})
            case Step.HANG_UP:
                self._end(None, {"left": False})

    @property
    def _greeting(self) -> str:
        return self._assistant.greeting(outbound=True)

    def _introduce(self) -> None:
        if self._greeting:
            self._give_order(Order(self._greeting))
        else:
            self._give_order(Order(None, hint=ASKED_WHO_CALLS))

    def _end(self, message: str | None, facts: dict[str, object]) -> None:
        """End the call, with the message if there is one; a second time it is said anew."""
        verdict = self._screening.verdict
        assert verdict is not None
        reason = END_REASONS[verdict.kind]
        if reason is EndReason.VOICEMAIL:
            self._reporting.note("voicemail", facts)
        self._closing = False
        self._close(message, reason)

    # What is different while the assistant keeps silent.

    def _act(self, outcomes: list[Outcome]) -> None:
        if self._screening.hushed:
            outcomes = [each for each in outcomes if not _wants_answer(each)]
        super()._act(outcomes)

    def _answer(self, turn: EndTurn) -> None:
        if self._screening.hushed:
            self._agent.keep_unanswered(turn.text)
            self._turns.agent_ended()
        else:
            super()._answer(turn)

    def _obey(self) -> None:
        if not self._screening.hushed:
            super()._obey()

    def _mind_silence(self, now_s: float) -> None:
        if not self._screening.hushed:
            super()._mind_silence(now_s)

    def _fail(self, error: ProviderError, *, voice_works: bool = True) -> None:
        if not self._screening.hushed:  # who only waits for a beep needs no recogniser
            super()._fail(error, voice_works=voice_works)


def _wants_answer(outcome: Outcome) -> bool:
    return isinstance(outcome, Anticipate) or outcome is Decision.ASK_AGAIN
