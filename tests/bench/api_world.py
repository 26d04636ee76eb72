"""What the benches of the API run on: a filled database, and the API and worker as shipped."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import asyncpg
import numpy as np

from db.keys import create_key
from db.migrate import migrate_database
from db.organisations import create_organisation
from db.pool import connect
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.ports import free_port
from sovereign_ari.bundle.postgres import prepare_cluster, wait_until_ready
from tests.bench.machine import usage
from tests.support.platform import until_ready

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
BATCH = 50_000
DAYS = 90
OTHERS = 200_000
"""Calls of the second tenant."""
NUMBERS = 20
ASSISTANTS = 10
KEYS = 500
PEOPLE = 300_000

# Every choice is independent of the others: the worst case for counts, which merge equal calls.
_FILL = """
INSERT INTO calls (id, organisation_id, assistant_id, assistant_name, direction, controller,
                   caller, dialled, codec, status, end_reason, created_at, answered_at, ended_at)
SELECT 'call-' || direction || '-'
           || lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 16, '0')
           || lpad(to_hex(n + $5), 10, '0'),
       $1, ($4::uuid[])[a], 'Assistant ' || a, direction, 'sovereign-1',
       CASE direction WHEN 'outbound' THEN ours WHEN 'inbound' THEN theirs END,
       CASE direction WHEN 'outbound' THEN theirs WHEN 'inbound' THEN ours END, 'ulaw', status,
       CASE WHEN status <> 'ringing' THEN 'user_hangup' END,
       at, at + interval '5 s', CASE WHEN status <> 'ringing' THEN at + interval '1 minute' END
  FROM (SELECT n, now() - ($6 - n) / $6::float8 * interval '90 days' AS at,
               CASE WHEN d < 0.7 THEN 'inbound' WHEN d < 0.9 THEN 'outbound' ELSE 'web' END
                   AS direction,
               1 + floor(random() * 1.1 * cardinality($4::uuid[]))::int AS a,
               '+3120' || lpad(floor(random() * $7)::text, 7, '0') AS ours,
               '+316' || lpad(floor(random() * $8)::text, 8, '0') AS theirs,
               CASE WHEN s < 0.7 THEN 'ended' WHEN s < 0.8 THEN 'failed'
                    WHEN s < 0.9 THEN 'transferred' WHEN s < 0.95 THEN 'ended-with-error'
                    WHEN s < 0.98 THEN 'rejected' WHEN s < 0.99995 THEN 'insufficient-credits'
                    ELSE 'ringing' END AS status
          FROM (SELECT n, random() AS d, random() AS s FROM generate_series($2::int, $3::int) AS n
               ) AS dice) AS made
"""
# Five exchanges each: for all calls of the last two days, and a quarter of the rest.
_TRANSCRIPTS = """
INSERT INTO turns (call_id, number, at, user_text, agent_text, heard_text, interrupted, tool_calls,
                   models, usage)
SELECT id, n, created_at, 'Could I make an appointment for Tuesday at nine, please?', reply, reply,
       false, '[]', '{}', '{}'
  FROM calls, generate_series(0, 4) AS n,
       (VALUES ('Of course, Tuesday at nine is free. Whom may I write down?')) AS said (reply)
 WHERE hashtext(id) % 4 = 0 OR created_at > now() - interval '2 days'
"""


@dataclass(frozen=True)
class Filled:
    """The tenant with many calls."""

    organisation_id: str
    keys: Iterator[str]
    assistant_ids: Sequence[str]


@dataclass(frozen=True)
class World:
    """A filled database and the API on it.

    Attributes:
        url: Of the API.
        filled: Who has what in it.
        api_pid: Process of the API.
        postgres_pid: Parent of PostgreSQL's processes.
    """

    database_url: str
    url: str
    filled: Filled
    api_pid: int
    postgres_pid: int

    def headers(self) -> dict[str, str]:
        """The next key's: each is limited as shipped, so they take turns."""
        return {"Authorization": f"Bearer {next(self.filled.keys)}"}

    def cpu_s(self) -> tuple[float, float]:
        """CPU time used so far by the API and by PostgreSQL."""
        children = Path(f"/proc/{self.postgres_pid}/task/{self.postgres_pid}/children")
        used = 0.0
        for pid in children.read_text().split():
            with suppress(FileNotFoundError):  # it ended just now
                used += usage(int(pid)).cpu_s
        return usage(self.api_pid).cpu_s, used


@contextmanager
def bundled_postgres() -> Iterator[tuple[str, int]]:
    """Run a PostgreSQL as `sovereign up` does, with its settings; yields its URL and process."""
    folder = Path(tempfile.mkdtemp(prefix="sovereign-bench-"))
    folder.chmod(0o711)  # the PostgreSQL user passes through
    data = DataDir(folder / "data")
    cluster = prepare_cluster(data, print)
    command = cluster.command()
    with command.log_path.open("ab") as log:
        process = subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=dict(command.environment),
            user=command.account.user_id,
            group=command.account.group_id,
            extra_groups=[] if command.account.user_id is not None else None,
        )
    try:
        asyncio.run(wait_until_ready(cluster, START_TIMEOUT_S))
        yield cluster.url(), process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        for used in (folder, cluster.data, cluster.sockets):
            shutil.rmtree(used, ignore_errors=True)


async def fill(database_url: str, calls: int) -> Filled:
    """Write calls of two tenants; gives what the large one has."""
    await migrate_database(database_url)
    connection = await connect(database_url, application_name="bench")
    organisation = await create_organisation(connection, "Many calls")
    keys = [(await create_key(connection, organisation, name="bench"))[1] for _ in range(KEYS)]
    rows = await connection.fetch(
        "INSERT INTO assistants (organisation_id, name)"
        " SELECT $1, 'Assistant ' || n FROM generate_series(1, $2::int) AS n RETURNING id::text",
        organisation,
        ASSISTANTS,
    )
    assistant_ids = [row["id"] for row in rows]
    await connection.execute(
        "INSERT INTO phone_numbers (organisation_id, phone_number)"
        " SELECT $1, '+31208' || lpad(n::text, 6, '0') FROM generate_series(1, $2::int) AS n",
        organisation,
        NUMBERS,
    )
    other = await create_organisation(connection, "Others")
    await _write(connection, organisation, assistant_ids, calls, 0)
    await _write(connection, other, [], min(calls, OTHERS), calls)
    await connection.execute(_TRANSCRIPTS, timeout=600)
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.close()
    return Filled(organisation, cycle(keys), assistant_ids)


async def _write(
    connection: asyncpg.Connection,
    organisation_id: str,
    assistant_ids: Sequence[str],
    calls: int,
    first_id: int,
) -> None:
    for begin in range(0, calls, BATCH):
        last = min(begin + BATCH, calls) - 1
        await connection.execute(
            _FILL, organisation_id, begin, last, list(assistant_ids), first_id, calls, NUMBERS,
            PEOPLE, timeout=600,
        )  # fmt: skip


@asynccontextmanager
async def product(command: str, environment: dict[str, str]) -> AsyncIterator[int]:
    """Run a process of the product; yields its id."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sovereign_ari", command,
        cwd=REPOSITORY, env=kept | environment, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@asynccontextmanager
async def running_world(
    database_url: str, postgres_pid: int, filled: Filled
) -> AsyncIterator[World]:
    """Run the API and the worker on a filled database."""
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="sovereign-bench-") as folder:
        environment = {
            "DATABASE_URL": database_url,
            "SOVEREIGN_API_PORT": str(port),
            "SOVEREIGN_DATA_DIR": folder,
            "SOVEREIGN_LOG_LEVEL": "warning",
        }
        async with product("api", environment) as api, product("worker", environment):
            async with asyncio.timeout(START_TIMEOUT_S):
                await until_ready(url)
            world = World(database_url, url, filled, api, postgres_pid)
            await _wait_until_settled(world)
            yield world


async def _wait_until_settled(world: World) -> None:
    """Wait for the worker: this many calls do not arrive within seconds otherwise."""
    connection = await connect(world.database_url, application_name="bench")
    left = "SELECT EXISTS (SELECT FROM call_counts WHERE NOT settled)"
    while await connection.fetchval(left):  # noqa: ASYNC110 - the condition is in a database
        await asyncio.sleep(0.5)
    await connection.execute("VACUUM ANALYZE call_counts", timeout=600)
    await connection.close()


def percentile(values: Sequence[float], percent: float) -> float:
    """Rounded to a tenth."""
    return round(float(np.percentile(values, percent)), 1)
