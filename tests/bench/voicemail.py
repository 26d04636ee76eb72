"""Who answered: python -m tests.bench voicemail

Plays the labelled beginnings of `tests/support/labelled_greetings.py` to the product's detectors
and to `Screening`, with the words known, under every opinion that the PBX may have; then part of
them to AMD() of a real PBX, and lets its verdicts count. Prints confusion matrices and writes
`results/voicemail.json`. A minute.

`python -m tests.bench.voicemail pure` leaves the PBX out.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from sovereign_ari.domain.answering_machine import Kind, PbxVerdict
from sovereign_ari.domain.screening import Step
from sovereign_ari.media.tones import ToneDetector
from tests.bench.machine import describe
from tests.bench.voicemail_pbx import Answerer, ask_real_pbx
from tests.bench.voicemail_scene import Course, Heard, heard, play
from tests.support.labelled_greetings import Beginning, beginnings

RESULTS = Path(__file__).parent / "results"
OPINIONS = {
    "no AMD": None,
    "AMD takes all for machines": PbxVerdict("MACHINE", "LONGGREETING-1520-1500"),
    "AMD takes all for humans": PbxVerdict("HUMAN", "HUMAN-800-800"),
}
GOES_ON = (Kind.HUMAN, Kind.UNKNOWN, Kind.IVR, Kind.CALL_SCREENING)
STOPS = (Kind.VOICEMAIL, Kind.MAILBOX_FULL, Kind.OUT_OF_SERVICE, Kind.FAX, Kind.BUSY)

Json = dict[str, object]


def main() -> None:
    """Run, print and write."""
    items = beginnings()
    sounds = [heard(item) for item in items]
    result: Json = {"machine": describe(), "beginnings": len(items), "CPU": cost(items)}
    print(f"\n{len(items)} beginnings of calls, on {result['machine']}")
    print(f"tones: {result['CPU']} us of CPU per 20 ms")
    for name, opinion in OPINIONS.items():
        courses = [play(i, s, opinion) for i, s in zip(items, sounds, strict=True)]
        result[name] = report(name, items, courses)
    if sys.argv[1:] != ["pure"]:
        answerers = asyncio.run(ask_real_pbx(items))
        result["a real PBX"] = with_real_pbx(answerers, dict(zip(items, sounds, strict=True)))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "voicemail.json").write_text(json.dumps(result, indent=2) + "\n")


def report(name: str, items: Sequence[Beginning], courses: Sequence[Course]) -> Json:
    """Print and return what became of them."""
    pairs = [(item.kind, course.kind) for item, course in zip(items, courses, strict=True)]
    print(f"\n== {name}")
    figures = {**recalls(items, courses), **messages(items, courses)}
    for field, value in figures.items():
        print(f"  {field}: {value}")
    print_matrix(pairs)
    for item, course in zip(items, courses, strict=True):
        if (item.kind in STOPS) is not (course.kind in STOPS):
            print(f"  wrong: {item.name}: {course.kind.value}, {', '.join(course.because)}")
    matrix = Counter(f"{truth.value} as {said.value}" for truth, said in pairs)
    return {**figures, "matrix": dict(sorted(matrix.items()))}


def recalls(items: Sequence[Beginning], courses: Sequence[Course]) -> Json:
    """Humans first."""
    both = list(zip(items, courses, strict=True))
    humans = [course for item, course in both if item.kind is Kind.HUMAN]
    machines = [(i.kind, course) for i, course in both if i.kind in STOPS]
    mail = [course for item, course in both if item.kind is Kind.VOICEMAIL]
    found = [course for kind, course in machines if course.kind is kind]
    left = sum(not any(course.steps) for course in humans)
    decided_s = [c.verdict_s for c in mail if c.kind is Kind.VOICEMAIL and c.verdict_s is not None]
    return {
        "humans never silenced nor hung up on": f"{left} of {len(humans)}",
        "voicemails recognised": f"{sum(c.is_stopped for c in mail)} of {len(mail)}",
        "machines to hang up on, by their class": f"{len(found)} of {len(machines)}",
        "voicemail recognised after, median, s": round(median(decided_s), 1) if decided_s else "-",
    }


def messages(items: Sequence[Beginning], courses: Sequence[Course]) -> Json:
    """Where messages began: behind the beep, in silence without one, or before it."""
    where: Counter[str] = Counter()
    late_s = []
    for item, course in zip(items, courses, strict=True):
        begun_s = [at_s for step, at_s in course.steps if step is Step.LEAVE_MESSAGE]
        if item.kind is not Kind.VOICEMAIL or not begun_s:
            continue
        if item.beep_s is None:
            where["no beep to wait for"] += 1
        elif begun_s[-1] < item.beep_s:
            where["too early"] += 1
        else:
            where[f"behind the beep, by its {course.awaited}"] += 1
            late_s.append(begun_s[-1] - item.beep_s)
    latest = round(max(late_s), 2) if late_s else "-"
    return {"messages": dict(where), "from the beep's end to the message, longest, s": latest}


def print_matrix(pairs: Iterable[tuple[Kind, Kind]]) -> None:
    """Rows are the truth."""
    counts = Counter(pairs)
    kinds = [kind for kind in Kind if any(kind in pair for pair in counts)]
    print(f"  {'':16}" + "".join(f"{kind.value[:9]:>10}" for kind in kinds))
    for truth in kinds:
        cells = "".join(f"{counts[truth, said] or '.':>10}" for said in kinds)
        print(f"  {truth.value:16}{cells}")


def with_real_pbx(answerers: Sequence[Answerer], sounds: dict[Beginning, Heard]) -> Json:
    """What AMD alone says, and what all witnesses together do."""
    print("\n== AMD() of a real PBX alone (rows are the truth)")
    table: dict[str, Counter[str]] = {}
    for each in answerers:
        status = each.verdict.status if each.verdict else "nothing"
        table.setdefault(each.beginning.kind.value, Counter())[status] += 1
    for kind, statuses in table.items():
        print(f"  {kind:16}{dict(statuses)}")
    after_s = [each.after_s for each in answerers if each.verdict and each.after_s is not None]
    print(f"  median after {median(after_s):.1f} s, longest {max(after_s):.1f} s")
    items = [each.beginning for each in answerers]
    courses = [play(each.beginning, sounds[each.beginning], each.verdict) for each in answerers]
    together = report("words, tones and AMD() of a real PBX", items, courses)
    causes = Counter(
        (each.verdict.cause.split("-")[0] if each.verdict else "") for each in answerers
    )
    return {
        "AMD alone": {kind: dict(statuses) for kind, statuses in table.items()},
        "causes": dict(causes),
        "AMD after, median, s": round(median(after_s), 2),
        "together": together,
    }


def cost(items: Sequence[Beginning]) -> float:
    """CPU of the tone detector, us per frame, on ten beginnings with words."""
    frames = [frame for item in items[:20] for frame in item.frames()]
    detector = ToneDetector(8000)
    begun_s = perf_counter()
    for frame in frames:
        detector.hear(frame)
    return round((perf_counter() - begun_s) / len(frames) * 1e6, 1)


if __name__ == "__main__":
    main()
