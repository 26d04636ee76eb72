"""Which fault excuses a call that went wrong: one that touched what the call needs, while it ran.

Pure: times are arguments. A call that went wrong without such a fault is a wrong call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Part(Enum):
    """What a call needs, and a fault may take away."""

    PLATFORM = "the platform"
    MODEL = "the model"
    VOICE = "the voice"
    EARS = "the ears"


TALK = frozenset(Part)
GREETING = frozenset({Part.PLATFORM, Part.VOICE, Part.EARS})
SIGNALLING = frozenset({Part.PLATFORM})

AFTER_S = {Part.PLATFORM: 20.0}
"""So long after its end a fault may still be felt: a caller waits to be adopted, a row for the
database."""

_AFTER_S = 3.0


def _always() -> bool:
    return True


@dataclass(eq=False)
class Happening:
    """A fault, from its beginning to its end.

    Attributes:
        name: For the report.
        part: What it took away.
        began_s: When.
        over_s: When it was mended; infinite while it is not.
        hit: Whether it has met any request at all.
    """

    name: str
    part: Part
    began_s: float
    over_s: float = math.inf
    hit: Callable[[], bool] = field(default=_always)

    def touches(self, needs: frozenset[Part], from_s: float, to_s: float) -> bool:
        """Whether a call that needed this and lasted from then to then may have felt it."""
        felt_until_s = self.over_s + AFTER_S.get(self.part, _AFTER_S)
        in_time = self.began_s <= to_s and from_s <= felt_until_s
        return in_time and self.part in needs and self.hit()


def excuse(
    happenings: Sequence[Happening], needs: frozenset[Part], from_s: float, to_s: float
) -> Happening | None:
    """Name the fault that a call may have felt: of the platform first, else the latest.

    Returns:
        None when nothing excuses it.
    """
    touching = [one for one in reversed(happenings) if one.touches(needs, from_s, to_s)]
    return min(touching, key=lambda one: one.part is not Part.PLATFORM, default=None)
