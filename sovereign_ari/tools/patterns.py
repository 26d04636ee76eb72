"""How much work a regular expression may make. Pure.

Python's engine goes back over every choice, so that a pattern with repetitions inside repetitions
may take for ever on a short text, and holds up every call meanwhile.
"""

from __future__ import annotations

import re
from functools import lru_cache

MOST_WORK = 1_000_000  # steps: some tens of milliseconds
_MOST_OPTIONS = 8  # each `?` may double the work

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=|\(\?\(")
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")
_INNERMOST = re.compile(r"\((?:\?(?:[:=!]|<[=!]|P?<\w+>))?([^()]*)\)([*+?]|\{\d*,?\d*\})?")
_LOOP = re.compile(r"[*+]|\{\d*,\d*\}")
_CHOICE = re.compile(r"[*+?|V]|\{\d*,\d*\}")
_REPEATS = re.compile(r"[*+]|\{")


def is_quick(pattern: str, text_chars: int) -> bool:
    """Whether searching a text of this length is little work, as far as can be seen at once."""
    exponent = _exponent(pattern)
    return exponent is not None and max(text_chars, 2) ** exponent <= MOST_WORK


@lru_cache(maxsize=1024)
def _exponent(pattern: str) -> int | None:
    """Power of the text's length that the work may grow with; None for worse than any."""
    if _BACK_REFERENCE.search(pattern):
        return None
    left = _CLASS.sub("x", _ESCAPE.sub("x", pattern))
    loops = options = 0
    while (group := _INNERMOST.search(left)) is not None:
        inner, after = group[1], group[2] or ""
        varies = _CHOICE.search(inner) is not None
        if varies and _REPEATS.match(after):
            return None
        loops += len(_LOOP.findall(inner))
        options += inner.count("?")
        left = left[: group.start()] + ("V" if varies else "x") + after + left[group.end() :]
    if "(" in left or options + left.count("?") > _MOST_OPTIONS:
        return None
    return loops + len(_LOOP.findall(left)) + (not left.startswith("^"))
