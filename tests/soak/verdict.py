"""Whether a product at rest holds more after many calls than after few. Pure.

It is read at rest several times: what calls hold for ever is more at each time. Memory is judged
by its second half, when caches are full and the allocator has found its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

PROCESSES = ("controller", "api", "worker", "asterisk")
FEWEST_ROWS = 4
FEWEST_CALLS = 200
LEAKS_MIB = 8.0
LEAKS_KIB_PER_CALL = 10.0
SLACK = {"fds": 10, "threads": 8, "tasks": 4, "journal": 0}
"""Connection pools and pools of threads may still have grown so much."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    rss_mib: float
    fds: int
    threads: int
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One look at a product at rest.

    Attributes:
        calls: So many it has had.
        tasks: Of the controller's event loop.
        journal: Entries that wait to be written.
        database_mib: Size of the database, which grows with its rows.
    """

    calls: int
    tasks: int
    journal: int
    controller: Held
    api: Held
    worker: Held
    asterisk: Held
    database_mib: float


HEADINGS = (
    " calls   controller MiB  KiB/call  fds thr tasks   asterisk MiB  fds   api MiB  fds"
    "   worker MiB  fds   database MiB"
)


def line(row: Row, before: Row | None) -> str:
    """Write one row; growth is that since the row before."""
    grown = ""
    if before is not None and row.calls > before.calls:
        more_kib = 1024 * (row.controller.rss_mib - before.controller.rss_mib)
        grown = f"{more_kib / (row.calls - before.calls):+.1f}"
        grown = "new" if row.controller.pid != before.controller.pid else grown
    controller, asterisk = row.controller, row.asterisk
    return (
        f"{row.calls:6} {controller.rss_mib:16.1f} {grown:>9}"
        f" {controller.fds:4} {controller.threads:3} {row.tasks:5}"
        f" {asterisk.rss_mib:14.1f} {asterisk.fds:4} {row.api.rss_mib:9.1f} {row.api.fds:4}"
        f" {row.worker.rss_mib:12.1f} {row.worker.fds:4} {row.database_mib:14.1f}"
    )


def leaks(rows: Sequence[Row]) -> list[str]:
    """Name what grew with the calls: handles, threads and tasks, and memory."""
    if len(rows) < FEWEST_ROWS:
        return []
    found = [_more("controller tasks", [row.tasks for row in rows], SLACK["tasks"])]
    found += [_more("journal entries", [row.journal for row in rows], SLACK["journal"])]
    for process in PROCESSES:
        held = [getattr(row, process) for row in rows]
        for kind in (one.name for one in fields(Held) if one.name in SLACK):
            values = [getattr(one, kind) for one in held]
            found.append(_more(f"{process} {kind}", values, SLACK[kind]))
        found.append(_memory(process, rows))
    return [leak for leak in found if leak]


def _more(name: str, values: Sequence[int], slack: int) -> str:
    """Compare the least at the end with the most at the beginning."""
    first, last = max(values[:2]), min(values[-2:])
    return f"{name}: {last}, at first {first}" if last > first + slack else ""


def _memory(process: str, rows: Sequence[Row]) -> str:
    """Judge the second half of the rows, as far as it is of one process."""
    last: Held = getattr(rows[-1], process)
    later = [row for row in rows[len(rows) // 2 :] if getattr(row, process).pid == last.pid]
    calls = later[-1].calls - later[0].calls
    if len(later) < FEWEST_ROWS // 2 or calls < FEWEST_CALLS:
        return ""
    more_mib = last.rss_mib - getattr(later[0], process).rss_mib
    per_call_kib = 1024 * more_mib / calls
    if more_mib <= LEAKS_MIB or per_call_kib <= LEAKS_KIB_PER_CALL:
        return ""
    return f"{process} memory: {per_call_kib:.0f} KiB a call over the last {calls} calls"
