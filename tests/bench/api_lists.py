"""How long a page of `GET /calls` takes among a million: python -m tests.bench.api_lists [CALLS]

The API, the worker and PostgreSQL as shipped and configured by `sovereign up`; a tenant with a
million calls over 90 days beside another, with transcripts on a part; one client on the same
machine asks for pages of 100, one after the other. Prints a table and writes
`results/api_lists.json`. *Total* is compared with `count(*)`. The times are the client's; *CPU* is
that of the processes, in milliseconds per page, which says more on a machine that others use.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from yarl import URL

from db.pool import connect
from tests.bench.api_world import World, bundled_postgres, fill, percentile, running_world
from tests.bench.machine import describe

RESULTS = Path(__file__).parent / "results"
CALLS = 1_000_000
OFFSETS = (0, 1_000, 100_000, 900_000)
BUDGET_MS = 20.0
WARM_UP = 6
ASKED = 60

Query = Mapping[str, str]

COUNT = """
SELECT count(*) FROM calls
 WHERE organisation_id = $1 AND ($2::text IS NULL OR status = $2)
   AND ($3::timestamptz IS NULL OR created_at >= $3)
   AND ($4::timestamptz IS NULL OR created_at < $4)
   AND ($5::uuid IS NULL OR assistant_id = $5) AND ($6::text IS NULL OR direction = $6)
   AND ($7::text IS NULL OR caller = $7 OR dialled = $7)
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    asked: str
    offset: int
    total: int
    exact: bool
    page: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    api_cpu_ms: float
    postgres_cpu_ms: float


def filters(assistant_id: str, person: str) -> dict[str, Query]:
    """Every filter, alone and with others."""
    now = datetime.now(UTC)

    def ago(**span: float) -> str:
        return (now - timedelta(**span)).isoformat(timespec="milliseconds")

    ours = "+31200000003"
    weeks = {"start_date": ago(days=60, hours=1.3), "end_date": ago(days=3, hours=2.1)}
    return {
        "all": {},
        "status=ended": {"status": "ended"},
        "status=failed": {"status": "failed"},
        "status=ringing": {"status": "ringing"},
        "assistant_id": {"assistant_id": assistant_id},
        "direction=outbound": {"direction": "outbound"},
        "direction=web": {"direction": "web"},
        "phone_number (ours)": {"phone_number": ours},
        "phone_number (a caller's)": {"phone_number": person},
        "dates, 57 days": weeks,
        "dates, an hour": {"start_date": ago(days=5, hours=2), "end_date": ago(days=5, hours=1)},
        "status, direction": {"status": "rejected", "direction": "web"},
        "status, assistant, dates": {
            "status": "failed", "assistant_id": assistant_id, **weeks,
        },
        "number, status": {"phone_number": ours, "status": "failed"},
        "everything": {
            "status": "ended", "assistant_id": assistant_id, "direction": "inbound",
            "phone_number": ours, **weeks,
        },
    }  # fmt: skip


async def ask(
    session: aiohttp.ClientSession, world: World, query: Query, offset: int
) -> tuple[float, bytes]:
    """Ask for one page; how long it took, and what it was."""
    url = URL(f"{world.url}/api/v1/calls").with_query({**query, "offset": str(offset)})
    begun_s = time.perf_counter()
    async with session.get(url, headers=world.headers()) as response:
        body = await response.read()
        assert response.status == 200, body
    return (time.perf_counter() - begun_s) * 1000, body


async def measure(world: World, name: str, query: Query, offset: int) -> Row:
    """Ask many times."""
    async with aiohttp.ClientSession() as session:
        for _ in range(WARM_UP):
            await ask(session, world, query, offset)
        begun = world.cpu_s()
        times = [(await ask(session, world, query, offset))[0] for _ in range(ASKED)]
        used = [after - before for after, before in zip(world.cpu_s(), begun, strict=True)]
        _, body = await ask(session, world, query, offset)
    page = json.loads(body)
    return Row(
        asked=name,
        offset=offset,
        total=page["pagination"]["total"],
        exact=False,
        page=len(page["calls"]),
        p50_ms=percentile(times, 50),
        p95_ms=percentile(times, 95),
        max_ms=round(max(times), 1),
        api_cpu_ms=round(used[0] / ASKED * 1000, 1),
        postgres_cpu_ms=round(used[1] / ASKED * 1000, 1),
    )


async def count(world: World, query: Query) -> int:
    """Count the slow way."""
    connection = await connect(world.database_url, application_name="bench")
    moments = [
        datetime.fromisoformat(query[name]) if name in query else None
        for name in ("start_date", "end_date")
    ]
    if moments[1] is not None:
        moments[1] += timedelta(milliseconds=1)  # the API's end is inclusive
    names = ("assistant_id", "direction", "phone_number")
    values = [query.get("status"), *moments, *(query.get(name) for name in names)]
    number = await connection.fetchval(COUNT, world.filled.organisation_id, *values, timeout=120)
    await connection.close()
    return int(number)


async def measure_all(world: World) -> list[Row]:
    """Every filter at every offset that its calls reach."""
    connection = await connect(world.database_url, application_name="bench")
    person = await connection.fetchval(
        "SELECT their_number FROM calls WHERE organisation_id = $1 AND their_number IS NOT NULL"
        " ORDER BY created_at DESC LIMIT 1",
        world.filled.organisation_id,
    )
    await connection.close()
    rows: list[Row] = []
    for name, query in filters(world.filled.assistant_ids[3], person).items():
        print(f"measuring {name} ...", file=sys.stderr)
        expected = await count(world, query)
        for offset in OFFSETS:
            row = await measure(world, name, query, offset)
            rows.append(replace(row, exact=row.total == expected))
            if offset > row.total:
                break
    return rows


def report(rows: list[Row], machine: str) -> None:
    """Print the table and write the document."""
    print(f"\nGET /calls, on {machine}; budget p95 {BUDGET_MS:g} ms\n")
    titles = ("total", "exact", "page", "p50 ms", "p95 ms", "max ms", "API CPU", "PG CPU")
    print(f"{'filter':26} {'offset':>7}" + "".join(f"{title:>9}" for title in titles))
    for row in rows:
        values = (row.total, "yes" if row.exact else "NO", row.page, row.p50_ms, row.p95_ms,
                  row.max_ms, row.api_cpu_ms, row.postgres_cpu_ms)  # fmt: skip
        over = "  over" if row.p95_ms > BUDGET_MS else ""
        print(f"{row.asked:26} {row.offset:7}" + "".join(f"{v!s:>9}" for v in values) + over)
    RESULTS.mkdir(exist_ok=True)
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (RESULTS / "api_lists.json").write_text(json.dumps(document, indent=1) + "\n")


async def bench(database_url: str, postgres_pid: int, calls: int) -> list[Row]:
    """Fill, then measure."""
    print(f"writing {calls:,} calls ...", file=sys.stderr)
    filled = await fill(database_url, calls)
    async with running_world(database_url, postgres_pid, filled) as world:
        return await measure_all(world)


def main() -> int:
    """Measure with the number of calls named on the command line, or with a million."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    machine = f"{describe()}, load {os.getloadavg()[0]:.1f} before"
    with bundled_postgres() as (database_url, pid):
        rows = asyncio.run(bench(database_url, pid, calls))
    report(rows, machine)
    return 0 if all(row.exact for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
