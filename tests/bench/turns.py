"""Which detector of speech: python -m tests.bench turns

Each detector hears the labelled set of `tests/support/labelled_set.py`, and the product's
`TurnTaker` decides about what it says, with a recogniser that knows the words (`turns_scene`).
Prints tables and writes `results/turns.json`. Two to four minutes.

Provider events are not here: how soon a vendor says that somebody speaks, nobody can know without
that vendor, and a fake would answer with our own guess.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, thread_time
from typing import TypeAlias

from sovereign_ari.domain.agent import TurnTaking
from tests.bench.machine import describe, usage
from tests.bench.turns_detectors import Judged, detectors
from tests.bench.turns_figures import (
    delayed,
    ends_ms,
    false_alarms,
    is_echo,
    is_missed,
    onsets_ms,
    paused_percent,
    pauses_ms,
    per_minute,
    percentile,
    share,
)
from tests.bench.turns_pbx import compare_with_pbx
from tests.bench.turns_scene import FRAME_S, play
from tests.support.labelled_set import Expected, Item, labelled_set

RESULTS = Path(__file__).parent / "results"
LINES = ("clean line", "echo", "car")
DELAYS_S = (0.3, 0.4, 0.6, 0.9)
STREAMS = 50


@dataclass(frozen=True)
class Row:
    """One detector. Milliseconds and per cent unless named otherwise."""

    detector: str
    hits: float
    false_alarms: float
    onset_p50: float
    onset_p95: float
    noise_pauses: float
    noise_paused: float
    noise_longest: float
    echo_pauses: float
    echo_paused: float
    echo_cuts: int
    missed: int
    barge_ins: int
    early: int
    clean_p50: float
    clean_p95: float
    echo_p50: float
    echo_p95: float
    car_p50: float
    car_p95: float
    cut_off: int
    with_pause: int
    held: int
    turns: int
    end_p50: float
    end_p95: float
    us_per_frame: float
    memory_mib: float
    memory_per_call_kib: float


Examined: TypeAlias = tuple[Row, dict[str, float], list[dict[str, object]]]

TITLES = {
    "hits": "loud frames of words heard as speech, %",
    "false_alarms": "other frames taken for speech, %",
    "onset_p50": "first frame of a word to first frame of speech, p50, ms",
    "onset_p95": "first frame of a word to first frame of speech, p95, ms",
    "noise_pauses": "noise: false barge-ins (agent pauses) per minute",
    "noise_paused": "noise: time that the agent is held up, %",
    "noise_longest": "noise: longest such pause, ms",
    "echo_pauses": "echo: false barge-ins per minute",
    "echo_paused": "echo: time that the agent is held up, %",
    "echo_cuts": "echo: replies cut off by their own words",
    "missed": "barge-ins missed",
    "barge_ins": "  of",
    "early": "barge-ins before the caller spoke",
    "clean_p50": "caller speaks to agent pauses, clean line, p50, ms",
    "clean_p95": "  p95",
    "echo_p50": "  on a line with echo, p50",
    "echo_p95": "  p95",
    "car_p50": "  in a car, p50",
    "car_p95": "  p95",
    "cut_off": "false cut-offs: turns ended within a pause",
    "with_pause": "  of",
    "held": "turns not ended 3 s after the last word",
    "turns": "  of",
    "end_p50": "last word to end of turn, p50, ms (0.4 s are set)",
    "end_p95": "last word to end of turn, p95, ms (0.4 s are set)",
    "us_per_frame": "CPU per 20 ms, us",
    "memory_mib": "memory of the process, MiB",
    "memory_per_call_kib": "memory of a further call, KiB",
}


def main() -> None:
    """Compare, or weigh the detector that the command line names."""
    if sys.argv[1:2] == ["memory"]:
        print(json.dumps(weigh(sys.argv[2])))
        return
    begun_s = perf_counter()
    names = [name for name, _ in detectors()]
    # Threads of the network must not be copied: no detector is made before the fork.
    with ProcessPoolExecutor(os.cpu_count(), get_context("fork")) as processes:
        examined = list(processes.map(examine, names))
    rows = [row for row, _, _ in examined]
    classes = {row.detector: kinds for row, kinds, _ in examined}
    settings = [line for _, _, lines in examined for line in lines]
    pbx = asyncio.run(compare_with_pbx(the_set()))
    machine = f"{describe()}, load {os.getloadavg()[0]:.1f}"
    report(machine, rows, classes, settings, pbx)
    document = {
        "machine": machine,
        "seconds_of_sound": round(sum(len(item.pcm) for item in the_set()) / 16000),
        "rows": [asdict(row) for row in rows],
        "false_alarms_percent": classes,
        "settings": settings,
        "talk_detect": pbx,
    }
    RESULTS.mkdir(exist_ok=True)
    # A percentile of nothing is null: NaN is no JSON.
    clean = json.loads(json.dumps(document), parse_constant=lambda _: None)
    (RESULTS / "turns.json").write_text(json.dumps(clean, indent=1) + "\n")
    print(f"\n{perf_counter() - begun_s:.0f} s")


@cache
def the_set() -> list[Item]:
    """Make the set, once in a process."""
    return labelled_set()


def examine(name: str) -> Examined:
    """Play the whole set to one detector."""
    items, listen = the_set(), dict(detectors())[name]
    begun_cpu_s = thread_time()
    judged = [listen(item) for item in items]
    frames = sum(len(one.voiced) for one in judged)
    us_per_frame = (thread_time() - begun_cpu_s) / frames * 1e6
    settings = [delayed(name, items, judged, delay_s) for delay_s in DELAYS_S]
    print(name, file=sys.stderr)
    return measure(name, items, judged, us_per_frame), false_alarms(items, judged), settings


def measure(name: str, items: Sequence[Item], judged: Sequence[Judged], us: float) -> Row:
    """Let the whole set happen with what one detector said of it."""
    courses = [play(item, one, TurnTaking()) for item, one in zip(items, judged, strict=True)]
    noise = [c for c in courses if c.item.expected is Expected.NOTHING and not is_echo(c.item)]
    echo = [c for c in courses if is_echo(c.item)]
    barge_ins = [c for c in courses if c.item.expected is Expected.BARGE_IN]
    turns = [c for c in courses if c.item.expected is Expected.TURN]
    onsets, ends = onsets_ms(items, judged), ends_ms(turns)
    pauses = {
        f"{line.split()[0]}_p{percent}": percentile(
            pauses_ms(c for c in barge_ins if c.item.kind == f"barge-in, {line}"), percent
        )
        for line in LINES
        for percent in (50, 95)
    }
    mib, kib = memory(name)
    return Row(
        detector=name,
        hits=share(items, judged, truth=True),
        false_alarms=share(items, judged, truth=False),
        onset_p50=percentile(onsets, 50),
        onset_p95=percentile(onsets, 95),
        noise_pauses=per_minute(noise),
        noise_paused=paused_percent(noise),
        noise_longest=round(1000 * max(c.longest_pause_s for c in noise)),
        echo_pauses=per_minute(echo),
        echo_paused=paused_percent(echo),
        echo_cuts=sum(len(c.interrupts_s) for c in echo),
        missed=sum(is_missed(c) for c in barge_ins),
        barge_ins=len(barge_ins),
        early=sum(
            c.pauses_s[:1] < [c.item.speech[0][0] - FRAME_S] for c in barge_ins if c.pauses_s
        ),
        **pauses,
        cut_off=sum(c.cut_off for c in turns if c.item.pause_s),
        with_pause=sum(bool(c.item.pause_s) for c in turns),
        held=sum(c.held_up for c in turns),
        turns=len(turns),
        end_p50=percentile(ends, 50),
        end_p95=percentile(ends, 95),
        us_per_frame=round(us, 1),
        memory_mib=mib,
        memory_per_call_kib=kib,
    )


def memory(name: str) -> tuple[float, float]:
    """Weigh a detector in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.turns", "memory", name]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    mib, kib = json.loads(done.stdout)
    return float(mib), float(kib)


def weigh(name: str) -> tuple[float, float]:
    """How much the process grew by its first stream, and by each of fifty more."""
    listen = dict(detectors())[name]
    item = Item("", "", Expected.TURN, bytes(320 * 10) + b"\x00\x20\x00\xe0" * 800, "ulaw")
    before = usage(os.getpid()).resident_bytes
    kept = [listen(item)]
    first = usage(os.getpid()).resident_bytes
    kept += [listen(item) for _ in range(STREAMS)]
    later = usage(os.getpid()).resident_bytes
    return round((first - before) / 2**20, 1), round((later - first) / STREAMS / 1024, 1)


def report(
    machine: str,
    rows: Sequence[Row],
    classes: dict[str, dict[str, float]],
    settings: Sequence[dict[str, object]],
    pbx: dict[str, object],
) -> None:
    """Print everything."""
    print(f"\nDetectors of speech, on {machine}\n")
    for number, row in enumerate(rows, 1):
        print(f"{number:>5} = {row.detector}")
    heads = "".join(f"{number:>8}" for number in range(1, len(rows) + 1))
    width = max(map(len, TITLES.values()))
    print(f"\n{'':{width}}{heads}")
    for field, title in TITLES.items():
        print(f"{title:{width}}" + "".join(f"{getattr(row, field)!s:>8}" for row in rows))
    print(f"\n{'frames taken for speech, %':{width}}{heads}")
    for kind in classes[rows[0].detector]:
        cells = "".join(f"{classes[row.detector][kind]!s:>8}" for row in rows)
        print(f"  {kind:{width - 2}}{cells}")
    print("\nfalse cut-offs of 10 turns by the length of the pause, and the delay of the end")
    for one in settings:
        print(
            f"  {one['detector']!s:28} min delay {one['min_delay_s']!s:4}"
            f" {one['cut_off_of_10_by_pause_s']}"
            f" held {one['held']} p50 {one['end_p50_ms']} p95 {one['end_p95_ms']} ms"
        )
    print("\nTALK_DETECT of a real PBX beside the emulation above")
    for field, value in pbx.items():
        print(f"  {field}: {value}")


if __name__ == "__main__":
    main()
