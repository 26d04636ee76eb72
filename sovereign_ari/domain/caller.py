"""What the caller did since the last turn ended: voice, words, and questions about them. Pure.

It keeps facts and measures times; `domain/turn.py` decides.

Voice without any new word for `NOISE_S` makes the recogniser be asked. When it knows nothing new
then either, the voice is a noise: it is ignored until it stops, while words are not. So neither a
radio nor a broken detector takes the floor for good.
"""

from __future__ import annotations

from sovereign_ari.domain.backchannels import beyond_backchannels

FRAME_S = 0.020
SLACK_S = FRAME_S / 4  # frames arrive a little early or late; none of them is worth another frame
ONSET_FRAMES = 2
CLICK_S = 0.13  # a noise of 100 ms may touch one frame more at either end
NOISE_S = 4.0  # hardly anybody speaks for longer without a gap in which the recogniser is asked
UNANSWERED_S = 10.0  # then nobody waits for the recogniser any more
NOISE_GAP_FRAMES = 10
TALKING_S = 0.2  # a gap between words


class CallerSpeech:
    """One utterance, or nothing yet.

    Args:
        now_s: The time at which the conversation begins.

    Attributes:
        in_speech: Whether the detector heard voice.
        began_s: When that began, or the last one did.
        voiced_s: For how long.
        last_voiced_s: When the last loud frame ended.
        words_at_s: When the latest words came that the detector did not hear, None without any.
        changed_s: When the text changed last.
        unread_s: How much voice there has been since.
        provider_ended: Whether the provider holds that the turn is over.
        flushed: Whether the recogniser was asked after the last loud frame.
        flushes_out: How often it was asked and has not answered.
    """

    def __init__(self, now_s: float) -> None:
        self.in_speech = False
        self.voiced_s = 0.0
        self.unread_s = 0.0
        self.last_voiced_s = now_s
        self.words_at_s: float | None = None
        self.changed_s = now_s
        self.provider_ended = False
        self.flushed = False
        self.flushes_out = 0
        self._finals: list[str] = []
        self._partial = ""
        self._run = 0
        self._unheard_flushes = 0
        self._murmured = False
        self._asked_s: float | None = None
        self.began_s = now_s
        self._ignoring = False
        self._quiet_frames = 0

    @property
    def text(self) -> str:
        """The words, as far as they are recognised."""
        return " ".join([*self._finals, self._partial]).strip()

    @property
    def settled(self) -> bool:
        """Whether the recogniser has said its last word about all of it."""
        answered = self.flushes_out == 0 and (self.flushed or not self.in_speech)
        return answered and not self._partial

    @property
    def tentative(self) -> bool:
        """Whether the text may still grow without another sound of the caller."""
        return bool(self._partial) and not (self.flushed and self.flushes_out == 0)

    @property
    def any(self) -> bool:
        """Whether there is voice or words."""
        return self.in_speech or self.words_at_s is not None

    @property
    def stopped_s(self) -> float:
        """When the voice ended, or the words came."""
        return self.last_voiced_s if self.in_speech else (self.words_at_s or self.last_voiced_s)

    def silence_s(self, now_s: float) -> float:
        """How long the caller has been silent."""
        return now_s - self.stopped_s + SLACK_S

    def frame(self, voiced: bool, now_s: float, *, faint: bool = False) -> None:
        """Take 20 ms of the caller's audio, which ended at `now_s`.

        Speech goes on through a faint frame, but when nothing follows it had ended before.
        """
        self._run = self._run + 1 if voiced else 0
        self._quiet_frames = 0 if voiced else self._quiet_frames + 1
        if self._ignoring:
            self._ignoring = self._quiet_frames < NOISE_GAP_FRAMES
        elif voiced and (self.in_speech or self._run >= ONSET_FRAMES):
            if not self.in_speech:
                self.in_speech = True
                self.began_s = now_s
                self.voiced_s = (self._run - 1) * FRAME_S
            self.voiced_s += FRAME_S
            self.unread_s += FRAME_S
            if not faint:
                self.last_voiced_s = now_s
            self.flushed = self.provider_ended = False

    def transcript(
        self, text: str, *, final: bool, flushed: bool, ends_turn: bool, now_s: float
    ) -> None:
        """Take what the recogniser said; a partial text replaces the one before."""
        text = text.strip()
        if flushed:
            self.flushes_out = max(0, self.flushes_out - 1)
        if self._unheard_flushes:
            self._unheard_flushes -= flushed
            if not (self._murmured and beyond_backchannels(text)):
                return
            if not beyond_backchannels(" ".join(self._finals)):
                self._finals.clear()  # recalled: it is the beginning of this text
        before = self.text
        if final:
            self._partial = ""
            if text:
                self._finals.append(text)
        else:
            self._partial = text
        self.provider_ended = ends_turn or self.provider_ended
        if self.text != before:
            self.changed_s = now_s
            self.unread_s = 0.0
        if text and not self.in_speech:
            self.words_at_s = now_s

    def flush(self, now_s: float) -> None:
        """Note that the recogniser is asked for the words so far."""
        self.flushed = True
        self.flushes_out += 1
        self._asked_s = now_s

    def asked(self) -> None:
        """Note that the recogniser is asked about a sound that no detector took for voice.

        Its answer is none to a question about words, and comes before those to later ones.
        """
        self.flushes_out += 1

    def must_ask_about_noise(self, now_s: float) -> bool:
        """Whether voice goes on and on without a word that is new."""
        if self.flushes_out or not self._goes_on(now_s):
            return False
        latest_s = max(self.began_s, self.changed_s, self._asked_s or 0.0)
        return now_s - latest_s + SLACK_S >= NOISE_S

    def is_noise(self, now_s: float) -> bool:
        """Whether the recogniser was asked about such voice and knows nothing new."""
        if not self.in_speech or self._asked_s is None or not self._goes_on(now_s):
            return False
        asked_s = self._asked_s
        if asked_s - max(self.began_s, self.changed_s) + SLACK_S < NOISE_S:
            return False
        return self.flushes_out == 0 or now_s - asked_s >= UNANSWERED_S

    def _goes_on(self, now_s: float) -> bool:
        if self._ignoring:
            return True
        return self.in_speech and now_s - self.last_voiced_s < TALKING_S

    def ignore_noise(self) -> None:
        """Take no notice of the voice until it stops."""
        self._ignoring = True

    def disregard_answers(self, *, murmured: bool = False) -> None:
        """Take no notice of what the recogniser has been asked and not answered.

        Args:
            murmured: Only as long as it is backchannels: "yes" may have been the beginning of
                "yes but wait".
        """
        self._unheard_flushes = self.flushes_out
        self._murmured = murmured

    def recall(self, text: str, stopped_s: float) -> None:
        """Have said this after all."""
        self._finals = [text]
        self.words_at_s = stopped_s

    def forget(self) -> None:
        """Begin anew: what was said is answered, or nobody said anything."""
        self._finals.clear()
        self._partial = ""
        self.words_at_s = None
        self.in_speech = False
        self.provider_ended = False
        self.voiced_s = self.unread_s = 0.0
        self._run = 0
