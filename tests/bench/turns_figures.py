"""Figures about what detectors said of the labelled set, and what became of its items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from sovereign_ari.domain.agent import TurnTaking
from tests.bench.turns_detectors import Judged
from tests.bench.turns_scene import FRAME_S, Course, play
from tests.support.labelled_set import Expected, Item

LATE_S = 0.6  # an interruption later than this after the last word was missed


def is_echo(item: Item) -> bool:
    return bool(item.agent_words)


def share(items: Iterable[Item], judged: Iterable[Judged], *, truth: bool) -> float:
    """How many of the frames of this kind were taken for speech; echoes apart."""
    taken = all_of_them = 0
    for item, one in zip(items, judged, strict=True):
        if not is_echo(item) and item.kind != "barge-in, echo":
            said = [v for v, loud in zip(one.voiced, item.loud, strict=True) if loud is truth]
            taken, all_of_them = taken + sum(said), all_of_them + len(said)
    return round(100 * taken / all_of_them, 1)


def false_alarms(items: Sequence[Item], judged: Sequence[Judged]) -> dict[str, float]:
    """The same for each class."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for item, one in zip(items, judged, strict=True):
        said = [v for v, loud in zip(one.voiced, item.loud, strict=True) if loud is False]
        counts[item.kind][0] += sum(said)
        counts[item.kind][1] += len(said)
    return {kind: round(100 * taken / of, 1) for kind, (taken, of) in counts.items() if of}


def onsets_ms(items: Sequence[Item], judged: Sequence[Judged]) -> list[float]:
    """From a caller's first loud frame to the first that is called speech; misses are 1000."""
    found = []
    for item, one in zip(items, judged, strict=True):
        if item.speech and item.kind in ("turn, digital silence", "barge-in, clean line"):
            first = round(item.speech[0][0] / FRAME_S)
            later = (n for n in range(first, len(one.voiced)) if one.voiced[n])
            found.append(min(1000.0, 1000 * ((next(later, 99) + 1) * FRAME_S - item.speech[0][0])))
    return found


def per_minute(courses: Sequence[Course]) -> float:
    return round(sum(len(c.pauses_s) for c in courses) / _minutes(courses), 1)


def paused_percent(courses: Sequence[Course]) -> float:
    return round(sum(c.paused_for_s for c in courses) / _minutes(courses) / 60 * 100, 1)


def _minutes(courses: Sequence[Course]) -> float:
    return sum(len(c.item.pcm) for c in courses) / 16000 / 60


def is_missed(course: Course) -> bool:
    begun_s, ended_s = course.item.speech[0][0], course.item.speech[-1][1]
    return not any(begun_s < at_s < ended_s + LATE_S for at_s in course.interrupts_s)


def pauses_ms(courses: Iterable[Course]) -> list[float]:
    """From the caller's first loud sample to the pause, where it did not come before."""
    found = []
    for course in courses:
        begun_s = course.item.speech[0][0]
        if not course.pauses_s or course.pauses_s[0] >= begun_s - FRAME_S:
            found.append(min(1000.0, 1000 * (min(course.pauses_s, default=99) - begun_s)))
    return found


def ends_ms(courses: Iterable[Course]) -> list[float]:
    found = []
    for course in courses:
        ended_s = course.item.speech[-1][1]
        after = [at_s for at_s in course.turns_s if at_s > ended_s - 0.1]
        found.append(1000 * (min(after) - ended_s) if after else 3000.0)
    return found


def delayed(
    name: str, items: Sequence[Item], judged: Sequence[Judged], delay_s: float
) -> dict[str, object]:
    """What another `endpointing_min_delay` makes of the turns."""
    settings = TurnTaking(endpointing_min_delay_s=delay_s)
    turns = [
        play(item, one, settings)
        for item, one in zip(items, judged, strict=True)
        if item.expected is Expected.TURN
    ]
    cut = {
        f"{pause_s:g}": sum(c.cut_off for c in turns if abs(c.item.pause_s - pause_s) < 0.02)
        for pause_s in (0.2, 0.35, 0.5, 0.8, 1.2)
    }
    ends = ends_ms(turns)
    return {
        "detector": name,
        "min_delay_s": delay_s,
        "cut_off_of_10_by_pause_s": cut,
        "held": sum(c.held_up for c in turns),
        "end_p50_ms": percentile(ends, 50),
        "end_p95_ms": percentile(ends, 95),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(values, percent))) if values else float("nan")
