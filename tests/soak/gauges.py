"""What is read of a product under load: what it holds, and what it should have let go."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path

from tests.support.hall import Hall

LONGEST_CALL_S = 100
"""No call of the soak lasts so long: what is older was left behind."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    rss_mib: float
    fds: int
    threads: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One look.

    Attributes:
        live: Calls of the controller.
        channels: In the PBX.
        bridges: Likewise.
        stale: Channels and open rows that are older than any call.
        open_rows: Calls that have not ended, in the database.
        tasks: Of the controller's event loop.
        journal: Entries that wait to be written.
        database_mib: Size of the database.
    """

    live: int
    channels: int
    bridges: int
    stale: int
    open_rows: int
    tasks: int
    journal: int
    controller: Held
    worker: Held
    api: Held
    asterisk: Held
    database_mib: float


def held_by(pid: int) -> Held:
    """Read what a process holds.

    Raises:
        OSError: If it is gone.
    """
    about = Path(f"/proc/{pid}")
    pages = int((about / "statm").read_text().split()[1])
    threads = re.search(r"^Threads:\s+(\d+)", (about / "status").read_text(), re.MULTILINE)
    fds = len(list((about / "fd").iterdir()))
    return Held(pages * _PAGE_BYTES / _MIB, fds, int(threads[1]) if threads else 0)


async def read(hall: Hall) -> Reading:
    """Look at everything.

    Raises:
        OSError: If a process is just being started again.
    """
    platform, pids = hall.platform, hall.platform.pids
    channels = await _channels(hall)
    bridges = await platform.asterisk_cli("bridge show all")
    rows = await hall.rows.fetchrow(
        "SELECT count(*) AS open,"
        " count(*) FILTER (WHERE created_at < now() - make_interval(secs => $1)) AS stale"
        " FROM calls WHERE ended_at IS NULL",
        float(LONGEST_CALL_S),
    )
    size = await hall.rows.fetchval("SELECT pg_database_size(current_database())")
    return Reading(
        live=int(await platform.metric("sovereign_calls_live")),
        channels=len(channels),
        bridges=len(re.findall(r"^(\S+)\s+\d+\s+\S+", bridges, re.MULTILINE)),
        stale=sum(age_s > LONGEST_CALL_S for age_s in channels) + int(rows["stale"]),
        open_rows=int(rows["open"]),
        tasks=int(await platform.metric("sovereign_tasks")),
        journal=int(await platform.metric("sovereign_journal_waiting")),
        controller=held_by(pids["controller"]),
        worker=held_by(pids["worker"]),
        api=held_by(pids["api"]),
        asterisk=held_by(pids["asterisk"]),
        database_mib=size / _MIB,
    )


async def _channels(hall: Hall) -> list[int]:
    """List the ages of the PBX's channels, in seconds."""
    listed = await hall.platform.asterisk_cli("core show channels concise")
    rows = [line.split("!") for line in listed.splitlines() if line.count("!") > 12]
    return [int(row[11]) if row[11].isdecimal() else 0 for row in rows]


def growth(first: Reading, last: Reading, calls: int) -> dict[str, float]:
    """How much was held more at the end than at the beginning, per 1000 calls."""
    per = 1000 / max(1, calls)
    grown = {}
    for one in fields(Reading):
        before, after = getattr(first, one.name), getattr(last, one.name)
        if isinstance(before, Held):
            assert isinstance(after, Held)
            for part in fields(Held):
                more = getattr(after, part.name) - getattr(before, part.name)
                grown[f"{one.name} {part.name}"] = round(more * per, 2)
    grown["controller tasks"] = round((last.tasks - first.tasks) * per, 2)
    grown["database_mib"] = round((last.database_mib - first.database_mib) * per, 2)
    return grown
