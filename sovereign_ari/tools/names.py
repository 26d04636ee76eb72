"""Names of tools as models see them: each another one, and spelled as vendors allow. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

LONGEST = 64
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")


def offered_name(name: str, taken: Collection[str], prefix: str = "") -> str:
    """Choose a name that is not taken: the own one, with the prefix, or with a number.

    Args:
        name: What the tool is called where it comes from.
        taken: Names of other tools of the call.
        prefix: Says where it comes from, when the name alone is taken.
    """
    plain = _NO_NAME.sub("_", name)[:LONGEST] or "tool"
    if plain not in taken:
        return plain
    stem = _NO_NAME.sub("_", f"{prefix}_{name}" if prefix else name)[: LONGEST - 4]
    if stem not in taken:
        return stem
    return next(f"{stem}_{n}" for n in range(2, 1000) if f"{stem}_{n}" not in taken)
