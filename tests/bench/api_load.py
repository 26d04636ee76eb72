"""The API at 300 requests per second: python -m tests.bench.api_load [PER_SECOND]

One API process as shipped, on PostgreSQL as `sovereign up` configures it, with 100,000 calls.
Requests begin at their own times, whether or not earlier ones are answered, and are measured from
those times. First one operation alone, then all mixed. Prints a table and writes
`results/api_load.json`. *CPU* is that of the processes, in milliseconds per request.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from tests.bench.api_world import World, bundled_postgres, fill, percentile, running_world
from tests.bench.machine import describe

RESULTS = Path(__file__).parent / "results"
CALLS = 100_000
PER_SECOND = 300
SECONDS = 8.0
BUDGET_MS = 10.0


@dataclass(frozen=True, eq=False)
class Operation:
    """One kind of request."""

    name: str
    method: str
    path: str
    body: dict[str, Any] | None
    status: int


@dataclass(frozen=True)
class Row:
    """One line of the table; `share` is of a run's requests, in percent, CPU per request."""

    run: str
    operation: str
    share: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    api_cpu_ms: float
    postgres_cpu_ms: float


def operations(assistant_id: str) -> list[Operation]:
    """What clients do."""
    made = {"name": "Reception", "first_message": "Good day, how can I help you?"}
    path = "/api/v1/assistants"
    one = f"{path}/{assistant_id}"
    return [
        Operation("GET assistant", "GET", one, None, 200),
        Operation("GET numbers", "GET", "/api/v1/numbers", None, 200),
        Operation("PATCH assistant", "PATCH", one, {"first_message": "Hello?"}, 200),
        Operation("POST assistant", "POST", path, made, 201),
        Operation("GET calls, 10 of them", "GET", "/api/v1/calls?limit=10", None, 200),
    ]


async def send(
    session: aiohttp.ClientSession, world: World, operation: Operation, at_s: float
) -> float:
    """Send one request at its time; milliseconds until its answer was there."""
    await asyncio.sleep(max(0.0, at_s - time.perf_counter()))
    async with session.request(
        operation.method, operation.path, json=operation.body, headers=world.headers()
    ) as response:
        body = await response.read()
        assert response.status == operation.status, body
    return (time.perf_counter() - at_s) * 1000


async def run(world: World, name: str, chosen: Sequence[Operation], per_second: int) -> list[Row]:
    """Send requests at a rate, of operations in turn."""
    times: dict[str, list[float]] = defaultdict(list)
    connector = aiohttp.TCPConnector(limit=64)  # as many as wait at once, at most
    async with aiohttp.ClientSession(world.url, connector=connector) as session:
        for _ in range(20):
            for operation in set(chosen):
                await send(session, world, operation, time.perf_counter())
        begun, begun_s = world.cpu_s(), time.perf_counter() + 0.2
        jobs = [
            (chosen[number % len(chosen)], begun_s + number / per_second)
            for number in range(int(per_second * SECONDS))
        ]
        took = await asyncio.gather(*(send(session, world, each, at_s) for each, at_s in jobs))
        api, postgres = (
            round(1000 * (after - before) / len(jobs), 2)
            for after, before in zip(world.cpu_s(), begun, strict=True)
        )
    for (operation, _), ms in zip(jobs, took, strict=True):
        times[operation.name].append(ms)
    return [
        Row(
            run=name,
            operation=operation,
            share=round(100 * len(ms) / len(jobs)),
            p50_ms=percentile(ms, 50),
            p95_ms=percentile(ms, 95),
            max_ms=round(max(ms), 1),
            api_cpu_ms=api,
            postgres_cpu_ms=postgres,
        )
        for operation, ms in times.items()
    ]


async def measure(world: World, per_second: int) -> list[Row]:
    """Each operation alone, but for the list, whose pages are heavy; then all together."""
    reading, numbers, changing, making, listing = operations(world.filled.assistant_ids[0])
    rows = []
    for operation in (reading, numbers, changing, making):
        print(f"measuring {operation.name} ...", file=sys.stderr)
        rows += await run(world, "alone", [operation], per_second)
    mixed = [*[reading] * 9, *[numbers] * 5, *[changing] * 3, *[making] * 2, listing]
    random.Random(1).shuffle(mixed)
    print("measuring all ...", file=sys.stderr)
    return rows + await run(world, "mixed", mixed, per_second)


def report(rows: list[Row], machine: str, per_second: int) -> None:
    """Print the table and write the document."""
    print(f"\nThe API at {per_second} requests per second, on {machine}")
    print(f"budget p95 {BUDGET_MS:g} ms\n")
    titles = ("share", "p50 ms", "p95 ms", "max ms", "API CPU", "PG CPU")
    print(f"{'run':6} {'operation':22}" + "".join(f"{title:>9}" for title in titles))
    for row in rows:
        values = (f"{row.share}%", row.p50_ms, row.p95_ms, row.max_ms, row.api_cpu_ms,
                  row.postgres_cpu_ms)  # fmt: skip
        over = "  over" if row.p95_ms > BUDGET_MS else ""
        print(f"{row.run:6} {row.operation:22}" + "".join(f"{v!s:>9}" for v in values) + over)
    RESULTS.mkdir(exist_ok=True)
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (RESULTS / "api_load.json").write_text(json.dumps(document, indent=1) + "\n")


async def bench(database_url: str, postgres_pid: int, per_second: int) -> list[Row]:
    """Fill, then measure."""
    filled = await fill(database_url, CALLS)
    async with running_world(database_url, postgres_pid, filled) as world:
        return await measure(world, per_second)


def main() -> None:
    """Measure at the rate named on the command line, or the usual one."""
    per_second = int(sys.argv[1]) if len(sys.argv) > 1 else PER_SECOND
    machine = f"{describe()}, load {os.getloadavg()[0]:.1f} before"
    with bundled_postgres() as (database_url, pid):
        rows = uvloop.run(bench(database_url, pid, per_second))
    report(rows, machine, per_second)


if __name__ == "__main__":
    main()
