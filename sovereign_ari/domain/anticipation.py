"""What the model may think about before the turn is over. Pure.

A text that does not change any more, in silence, and that may be all, is worth asking the model
about: mostly the turn ends with it a moment later. When the caller goes on it was not worth it,
so few of them are tried in one turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from sovereign_ari.domain.caller import CLICK_S, CallerSpeech
from sovereign_ari.domain.endpointing import STABLE_S, Endpointing, is_stable
from sovereign_ari.domain.spoken import same_words

MOST_IN_A_TURN = 2


@dataclass(frozen=True, slots=True)
class Anticipate:
    """The caller may have finished with these words; nothing of it is certain yet."""

    text: str


class Anticipation:
    """What is anticipated of the caller's turn, if anything.

    Args:
        endpointing: Knows whether words may be all.
    """

    def __init__(self, endpointing: Endpointing) -> None:
        self._endpointing = endpointing
        self._text: str | None = None
        self._voiced_s = 0.0
        self._tried = 0

    @property
    def live(self) -> bool:
        """Whether something is."""
        return self._text is not None

    def begin_turn(self) -> None:
        """Forget what it was: the turn has ended, or the agent speaks."""
        self._text, self._tried = None, 0

    def drop(self) -> None:
        """Take it back."""
        self._text = None

    def try_now(self, caller: CallerSpeech, now_s: float) -> Anticipate | None:
        """Anticipate the text, if its time has come."""
        if self.live or self._tried >= MOST_IN_A_TURN or not caller.text:
            return None
        if caller.silence_s(now_s) < STABLE_S or not is_stable(caller, now_s):
            return None
        if not self._endpointing.may_be_over(caller.text):
            return None
        self._text, self._voiced_s = caller.text, caller.voiced_s
        self._tried += 1
        return Anticipate(caller.text)

    def is_wrong(self, caller: CallerSpeech) -> bool:
        """Whether the caller said something else, or goes on speaking; a click is neither."""
        if self._text is None:
            return False
        if caller.voiced_s - self._voiced_s > CLICK_S:
            return True
        return not same_words(self._text, caller.text)
