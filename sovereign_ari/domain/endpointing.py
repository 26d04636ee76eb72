"""After how much silence a turn of the caller ends. Pure.

    SHORT answer           SHORT_ANSWER_SHARE of the minimum, but SHORTEST_DELAY_S at least; all of
                           the minimum when that is FLOOR_FROM_S or more
    OPEN                   the minimum
    UNFINISHED             the maximum; half-way when the provider says that it ended
    DICTATING              the maximum: people pause between digits, and providers fall for it

All but the maximum wait until the recogniser has answered for what was said, or until the provider
says that the turn has ended. Only a short answer undercuts the minimum, and then by a fixed share
of it: "yes" is as complete as it will ever be, and a longer minimum makes it slower as well.
Whoever sets a minimum of a second or more means it, whatever the words say.
"""

from __future__ import annotations

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.domain.caller import SLACK_S, CallerSpeech
from sovereign_ari.domain.completeness import Standing, standing_of
from sovereign_ari.domain.expectation import NOTHING, expected_after

SHORT_ANSWER_SHARE = 0.6
SHORTEST_DELAY_S = 0.2
FLOOR_FROM_S = 1.0
LAG_S = 0.3  # how far the words of a recogniser that streams them are behind the voice
STABLE_S = 0.14  # a text that did not change for so long, in silence, may be all


class Endpointing:
    """The delays of one conversation.

    Args:
        settings: The shortest and the longest.
        language: ISO 639-1 of the caller's words, None when it is not known.
    """

    def __init__(self, settings: TurnTaking, language: str | None) -> None:
        self._least_s = settings.endpointing_min_delay_s
        self._most_s = settings.endpointing_max_delay_s
        self._language = language
        self._expected = NOTHING
        self._judged = ("", Standing.OPEN)

    def agent_said(self, text: str) -> None:
        """Note what was heard of the agent last, for what it asks."""
        self._expected = expected_after(text)
        self._judged = ("", Standing.OPEN)

    def delay_s(self, caller: CallerSpeech, now_s: float) -> float:
        """The silence that ends the turn, as things stand now."""
        standing = self._standing(caller.text)
        ended = caller.provider_ended and is_stable(caller, now_s)
        if standing is Standing.DICTATING:
            return self._most_s
        if standing is Standing.UNFINISHED:
            return (self._least_s + self._most_s) / 2 if ended else self._most_s
        if caller.flushes_out and not ended:
            return self._most_s
        if standing is Standing.SHORT and self._least_s < FLOOR_FROM_S:
            return min(self._least_s, max(SHORTEST_DELAY_S, self._least_s * SHORT_ANSWER_SHARE))
        return self._least_s

    def may_be_over(self, text: str) -> bool:
        """Whether these words may be all."""
        return self._standing(text).may_be_over

    def _standing(self, text: str) -> Standing:
        if self._judged[0] != text:
            standing = standing_of(text, expected=self._expected, language=self._language)
            self._judged = (text, standing)
        return self._judged[1]


def is_stable(caller: CallerSpeech, now_s: float) -> bool:
    """Whether the text is final, or has not changed for a while although all was heard."""
    if caller.settled:
        return True
    return caller.unread_s <= LAG_S and now_s - caller.changed_s + SLACK_S >= STABLE_S
