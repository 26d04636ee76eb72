"""One item of the labelled set, heard by a detector and decided about by `TurnTaker`.

The recogniser is an ideal one: it knows each of the caller's words 0.25 s after its end, answers
a flush 0.1 s later, and takes no noise for words. What it cannot know is what it never heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.domain.turn import Decision, EndTurn, Outcome, TurnTaker
from sovereign_ari.media.vad import level_dbfs
from tests.bench.turns_detectors import Judged
from tests.support.labelled_set import Expected, Item, Said

FRAME_S = 0.02
WORD_DELAY_S = 0.25
FLUSH_DELAY_S = 0.1
HEARD_SHARE = 0.5  # of the frames of a word that a recogniser needs
FAINTEST_WORD_DBFS = -55.0


@dataclass
class Course:
    """What became of an item. Times are seconds from its beginning."""

    item: Item
    pauses_s: list[float] = field(default_factory=list)
    interrupts_s: list[float] = field(default_factory=list)
    turns_s: list[float] = field(default_factory=list)
    paused_for_s: float = 0.0
    longest_pause_s: float = 0.0

    @property
    def held_up(self) -> bool:
        """Whether a turn that has ended was never answered."""
        return self.item.expected is Expected.TURN and not any(
            at_s > self.item.speech[-1][1] - 0.1 for at_s in self.turns_s
        )

    @property
    def cut_off(self) -> bool:
        """Whether a turn was answered before its end."""
        return any(at_s < self.item.speech[-1][1] - 0.1 for at_s in self.turns_s)


class _Recogniser:
    """Tells each word once as a partial, and on a flush all of them as a final."""

    def __init__(self, words: Sequence[Said]) -> None:
        self._words = words
        self._told = self._final = 0
        self._flushes: list[tuple[float, int]] = []

    def flush(self, now_s: float) -> None:
        known = sum(said.end_s <= now_s + 0.1 for said in self._words)
        self._flushes.append((now_s + FLUSH_DELAY_S, known))

    def tell(self, turns: TurnTaker, now_s: float) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while self._flushes and self._flushes[0][0] <= now_s:
            _, known = self._flushes.pop(0)
            text = self._text(self._final, known)
            self._final = self._told = max(known, self._final)
            outcomes += turns.transcript(text, final=True, flushed=True, now_s=now_s)
        known = sum(said.end_s + WORD_DELAY_S <= now_s for said in self._words)
        if known > self._told:
            self._told = known
            text = self._text(self._final, known)
            outcomes += turns.transcript(text, final=False, flushed=False, now_s=now_s)
        return outcomes

    def _text(self, first: int, last: int) -> str:
        return " ".join(said.word for said in self._words[first:last])


def play(item: Item, judged: Judged, settings: TurnTaking) -> Course:
    """Let one item happen.

    Args:
        item: The sound and the truth.
        judged: What a detector said of each frame.
        settings: Of the assistant.
    """
    course = Course(item)
    turns = TurnTaker(settings, 0.0)
    recogniser = _Recogniser([*item.words, *_overheard(item, judged.withheld)])
    over_agent = item.expected is not Expected.TURN
    if over_agent:
        turns.agent_began()
    paused_s: float | None = None
    frames = zip_longest(judged.voiced, judged.faint, fillvalue=False)
    for number, (is_voiced, is_faint) in enumerate(frames, 1):
        now_s = number * FRAME_S
        heard = turns.frame(is_voiced, now_s, faint=is_faint)
        for outcome in [*heard, *recogniser.tell(turns, now_s)]:
            match outcome:
                case Decision.FLUSH:
                    recogniser.flush(now_s)
                case Decision.PAUSE:
                    course.pauses_s.append(now_s)
                    paused_s = now_s
                case Decision.INTERRUPT:
                    course.interrupts_s.append(now_s)
                case Decision.RESUME:
                    _resumed(course, paused_s, now_s)
                    paused_s = None
                case EndTurn():
                    course.turns_s.append(now_s)
                    _resumed(course, paused_s, now_s)
                    paused_s = None
                    if not over_agent:
                        turns.agent_ended()  # so that words after a cut-off are seen too
                case _:
                    pass  # nothing is heard of it
    _resumed(course, paused_s, len(judged.voiced) * FRAME_S)
    return course


def _resumed(course: Course, paused_s: float | None, now_s: float) -> None:
    if paused_s is not None:
        course.paused_for_s += now_s - paused_s
        course.longest_pause_s = max(course.longest_pause_s, now_s - paused_s)


def _overheard(item: Item, withheld: Sequence[bool]) -> list[Said]:
    """Words of the agent whose echo reached the recogniser, loud enough to be understood."""
    if not item.agent_words:
        return []
    levels = [level_dbfs(frame) for frame, _ in item.frames()]
    reached = [
        level > FAINTEST_WORD_DBFS and not kept
        for level, kept in zip(levels, withheld or [False] * len(levels), strict=True)
    ]
    heard, begun_s = [], 0.0
    for said in item.agent_words:
        frames = reached[round(begun_s / FRAME_S) : round(said.end_s / FRAME_S)]
        if frames and sum(frames) >= HEARD_SHARE * len(frames):
            heard.append(said)
        begun_s = said.end_s
    return heard
