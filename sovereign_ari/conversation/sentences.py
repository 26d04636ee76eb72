"""Model tokens in, speakable pieces out. Pure.

A piece is a sentence. The first piece of a reply may be a clause, so that the caller hears the
beginning while the model still writes the end.
"""

from __future__ import annotations

import re

from sovereign_ari.conversation.speakable import speakable

__all__ = ["CLAUSE_CHARS", "LONGEST_CHARS", "SentenceSplitter", "speakable"]

CLAUSE_CHARS = 60
LONGEST_CHARS = 300

_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|vs|etc|e\.g|i\.e|bijv|dhr|mevr|bzw|ca|nr)|\b[a-z])\.$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s)|\n+")
_CLAUSE_END = re.compile(r"[,;:](?=\s)")
_NUMBER = re.compile(
    r"(?:(?:\A|\n)\s*\d{1,3}|\b(?:am|vom|zum|bis|der|dem|den|des) \d{1,2})\.\Z", re.IGNORECASE
)  # of a list; of a day in German
_LOOKED_THROUGH_CHARS = 1000  # for the end of a sentence: a longer one is cut anyway
_LOOKED_BACK_CHARS = 40
_HIDDEN_CHARS = 1000
_HIDDEN = "think|thinking|reasoning|script|style"
_HIDDEN_WHOLE = re.compile(rf"<({_HIDDEN})\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_HIDDEN_BEGIN = re.compile(rf"<(?:{_HIDDEN})\b[^>]*>", re.IGNORECASE)
_LONGEST_ADDRESS = 2000
_ADDRESS = re.compile(r"(?:https?://|www\.)\S*")


class SentenceSplitter:
    """Cuts one reply into pieces as it is written."""

    def __init__(self) -> None:
        self._pending = ""
        self._first = True

    def push(self, token: str) -> list[str]:
        """Add text and take every piece that it completes."""
        self._pending += token
        self._hide()
        pieces = []
        while (cut := self._cut()) is not None:
            piece, self._pending = speakable(self._pending[:cut]), self._pending[cut:]
            if piece:
                pieces.append(piece)
                self._first = False
        return pieces

    def hurry(self) -> list[str]:
        """Take the whole words of what has no end yet: somebody has waited for it too long."""
        shown = self._shown
        cut = max(shown.rfind(" "), shown.rfind("\n")) + 1
        piece = speakable(self._pending[:cut])
        if not piece:
            return []
        self._pending, self._first = self._pending[cut:], False
        return [piece]

    @property
    def has_words(self) -> bool:
        """Whether what has no end yet is more than signs and white space."""
        return bool(speakable(self._shown))

    def flush(self) -> list[str]:
        """End the reply and take what is left."""
        piece, self._pending = speakable(self._shown), ""
        self._first = True
        return [piece] if piece else []

    @property
    def _shown(self) -> str:
        """What is pending before anything that is not to be said."""
        hidden = _HIDDEN_BEGIN.search(self._pending) if "<" in self._pending else None
        return self._pending[: hidden.start()] if hidden else self._pending

    def _hide(self) -> None:
        """Drop what a model thinks aloud, and keep little of what has no end yet."""
        if "<" not in self._pending:
            return
        self._pending = _HIDDEN_WHOLE.sub(" ", self._pending)
        begin = _HIDDEN_BEGIN.search(self._pending)
        if begin is not None and len(self._pending) - begin.end() > _HIDDEN_CHARS:
            self._pending = self._pending[: begin.end()] + self._pending[-20:]

    def _cut(self) -> int | None:
        """Find where the first complete piece ends."""
        pending = self._shown
        for match in _SENTENCE_END.finditer(pending, 0, _LOOKED_THROUGH_CHARS):
            end = match.end()
            span = max(0, end - _LOOKED_BACK_CHARS), end
            if not (_ABBREVIATION.search(pending, *span) or _NUMBER.search(pending, *span)):
                return end
        if self._first and len(pending) > CLAUSE_CHARS:
            clause = _CLAUSE_END.search(pending, CLAUSE_CHARS // 3)
            if clause is not None:
                return clause.end()
        if len(pending) > LONGEST_CHARS:
            space = pending.rfind(" ", 0, LONGEST_CHARS)
            if space > 0:
                return space + 1
            address = _ADDRESS.match(pending)
            if address is None:
                return LONGEST_CHARS
            return address.end() if len(pending) > min(address.end(), _LONGEST_ADDRESS) else None
        return None
