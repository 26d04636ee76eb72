"""What of one answer can be spoken, and when, though its sentences have no end. Time is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sovereign_ari.conversation.sentences import SentenceSplitter

FIRST_PIECE_S = 2.5
"""A caller who has heard nothing yet waits no longer than this for the end of a sentence."""

NEXT_PIECE_S = 6.0
UNSPEAKABLE_S = 4.0
MOST_CHARS = 10_000  # about eleven minutes of speech


class Pieces:
    """Cuts one answer into pieces, and says when there is enough of it.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._splitter = SentenceSplitter()
        self._chars = 0
        self._any = False
        self._since_s = 0.0

    def of(self, text: str) -> Iterator[str]:
        """Take text, and give every piece that can be spoken now."""
        if not self._chars:
            self._since_s = self._clock()
        text = text[: MOST_CHARS - self._chars]
        self._chars += len(text)
        pieces = self._splitter.push(text)
        wait_s = NEXT_PIECE_S if self._any else FIRST_PIECE_S
        if not pieces and self._clock() - self._since_s > wait_s:
            pieces = self._splitter.hurry()
        for piece in pieces:
            self._any = True
            yield piece
            self._since_s = self._clock()  # speaking may have taken its time meanwhile

    def rest(self) -> list[str]:
        """End the answer and take what is left of it, but no half sentence of a cut one."""
        return [] if self._any and self._chars >= MOST_CHARS else self._splitter.flush()

    @property
    def unspeakable(self) -> bool:
        """Whether all of it is nothing that could be said, and it took too long."""
        return not self._any and self._is_idle

    @property
    def enough(self) -> bool:
        """Whether the model need not write more."""
        return self._chars >= MOST_CHARS or self._is_idle

    @property
    def _is_idle(self) -> bool:
        """Whether nothing that could be said has come for too long."""
        waited_s = self._clock() - self._since_s
        return self._chars > 0 and waited_s > UNSPEAKABLE_S and not self._splitter.has_words
