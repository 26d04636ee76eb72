"""Model tokens in, speakable pieces out. Pure.

A piece is a sentence. The first piece of a reply may be a clause, so that the caller hears the
beginning while the model still writes the end.
"""

from __future__ import annotations

import re

CLAUSE_CHARS = 60
LONGEST_CHARS = 300

_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|vs|etc|e\.g|i\.e|bijv|dhr|mevr|bzw|ca|nr)|\b[a-z])\.$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s)|\n+")
_CLAUSE_END = re.compile(r"[,;:](?=\s)")
_MARKDOWN = re.compile(r"[*_`#]+|^\s*[-•]\s+", re.MULTILINE)
_SPOKEN = re.compile(r"\w")


def speakable(text: str) -> str:
    """Take markdown signs out and fold white space; empty when nothing can be pronounced."""
    plain = " ".join(_MARKDOWN.sub("", text).split())
    return plain if _SPOKEN.search(plain) else ""


class SentenceSplitter:
    """Cuts one reply into pieces as it is written."""

    def __init__(self) -> None:
        self._pending = ""
        self._first = True

    def push(self, token: str) -> list[str]:
        """Add text and take every piece that it completes."""
        self._pending += token
        pieces = []
        while (cut := self._cut()) is not None:
            piece, self._pending = speakable(self._pending[:cut]), self._pending[cut:]
            if piece:
                pieces.append(piece)
                self._first = False
        return pieces

    def hurry(self) -> list[str]:
        """Take the whole words of what has no end yet: somebody has waited for it too long."""
        cut = max(self._pending.rfind(" "), self._pending.rfind("\n")) + 1
        piece = speakable(self._pending[:cut])
        if not piece:
            return []
        self._pending, self._first = self._pending[cut:], False
        return [piece]

    @property
    def has_words(self) -> bool:
        """Whether what has no end yet is more than signs and white space."""
        return bool(speakable(self._pending))

    def flush(self) -> list[str]:
        """End the reply and take what is left."""
        piece, self._pending = speakable(self._pending), ""
        self._first = True
        return [piece] if piece else []

    def _cut(self) -> int | None:
        """Find where the first complete piece ends."""
        for match in _SENTENCE_END.finditer(self._pending):
            if not _ABBREVIATION.search(self._pending[: match.end()]):
                return match.end()
        if self._first and len(self._pending) > CLAUSE_CHARS:
            clause = _CLAUSE_END.search(self._pending, CLAUSE_CHARS // 3)
            if clause is not None:
                return clause.end()
        if len(self._pending) > LONGEST_CHARS:
            space = self._pending.rfind(" ", 0, LONGEST_CHARS)
            return space + 1 if space > 0 else LONGEST_CHARS
        return None
