"""When Python looks for cycles: a full look holds every call up for as long as it takes.

At its default settings the interpreter goes through all objects of the process now and then, a
tenth of a second and more with the libraries that are loaded here, and nothing is sent meanwhile.
A call that has ended is a cycle of some 500 objects and 50 kB: looks that come too seldom let
thousands of calls pile up, and then take a quarter of a second.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

YOUNG_OBJECTS = 10_000
YOUNG_LOOKS = 50
MIDDLE_LOOKS = 200
LOOK_EVERY_S = 10.0
FULL_AFTER_LOOKS = 3
"""A full look is due after so many at what is young, 20 calls or so each."""


def set_aside() -> None:
    """Take everything that is there now out of all later looks: to be called after the start."""
    gc.collect()
    gc.freeze()


async def look_when_idle(calls: Callable[[], int]) -> None:
    """Leave full looks to moments in which no call is live, as far as possible, until cancelled.

    What is young is still looked through while calls are live. A process that is never idle
    looks through everything, too, before what has ended weighs more than what lives.

    Args:
        calls: How many are live.
    """
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_LOOKS, MIDDLE_LOOKS)
    try:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            young_looks = gc.get_count()[1]
            if calls() == 0 or young_looks >= FULL_AFTER_LOOKS:
                gc.collect()
    finally:
        gc.set_threshold(*before)
