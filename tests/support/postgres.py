"""A real PostgreSQL of its own for a test session, and a fresh database for each test.

The server listens on a Unix socket in a short folder under /tmp, without fsync, and is ended by
its process id. A database is cloned from a migrated template.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import asyncpg

from db.migrate import migrate_database
from db.pool import close_pool, create_pool
from tests.support.emptying import Emptiers

USER = "sovereign"
TEMPLATE = "sovereign_template"
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


def find_binaries() -> Path:
    """The newest installed server's programs. A missing server is an error, not a skip."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3])
    )
    if versions:
        return versions[-1].parent
    if (found := shutil.which("postgres")) is not None:
        return Path(found).resolve().parent
    raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes:
        folder: Holds its socket.
        used: Databases that may serve again.
        emptiers: Empty them.
    """

    folder: Path
    binaries: Path
    pid: int
    used: list[str] = field(default_factory=list)
    emptiers: Emptiers = field(default_factory=Emptiers)

    def dsn(self, database: str) -> str:
        """Address of one of its databases."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder), safe='')}"


def _account() -> str | None:
    """Whom the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _as(account: str | None) -> dict[str, Any]:
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def in_thread(work: Coroutine[Any, Any, Any]) -> None:
    """Run async set-up from a synchronous fixture, apart from the loop that tests use."""
    with ThreadPoolExecutor(1, "postgres set-up") as thread:
        thread.submit(asyncio.run, work).result()


def _stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # fast shutdown
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # immediate shutdown, with its children
            process.wait(STOP_DEADLINE_S)
    shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], binaries: Path, folder: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    asked = [str(binaries / "pg_isready"), "-q", "-h", str(folder), "-U", USER, "-d", "postgres"]
    while subprocess.run(asked, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            log = (folder / "server.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"PostgreSQL did not start: {log}")
        time.sleep(0.05)


@contextmanager
def run_server() -> Iterator[PostgresServer]:
    """Start a server with nothing in it, and end it with its files."""
    binaries, account = find_binaries(), _account()
    folder = Path(tempfile.mkdtemp(prefix="sov-pg-", dir="/tmp"))
    if account is not None:
        shutil.chown(folder, account)
    data = folder / "data"
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8",
         "--locale=C", "--no-instructions"],
        check=False, capture_output=True, text=True, cwd=folder, **_as(account),
    )  # fmt: skip
    if made.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError(f"initdb failed: {made.stderr[-2000:]}")
    options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", folder, *options],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, **_as(account),
        )  # fmt: skip
    atexit.register(_stop, process, folder)
    try:
        _wait_until_ready(process, binaries, folder)
        server = PostgresServer(folder, binaries, process.pid)
        try:
            yield server
        finally:
            server.emptiers.stop()
    finally:
        _stop(process, folder)
        atexit.unregister(_stop)


@contextmanager
def run_migrated_server() -> Iterator[PostgresServer]:
    """Start a server whose template has every migration."""
    with run_server() as server:
        in_thread(_make_template(server))
        yield server


async def _make_template(server: PostgresServer) -> None:
    await _administer(server, f"CREATE DATABASE {TEMPLATE}")
    await migrate_database(server.dsn(TEMPLATE))


async def _administer(server: PostgresServer, statement: str) -> None:
    admin = await asyncpg.connect(server.dsn("postgres"))
    try:
        await admin.execute(statement)
    finally:
        await admin.close()


@asynccontextmanager
async def fresh_database(
    server: PostgresServer, template: str | None = TEMPLATE
) -> AsyncIterator[str]:
    """Make a database for one test and give its address; a template of None leaves it empty."""
    name = f"test_{uuid4().hex}"
    await _administer(server, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
    try:
        yield server.dsn(name)
    finally:
        await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def empty_database(server: PostgresServer) -> AsyncIterator[str]:
    """Lend a migrated database without rows. Emptying one is much faster than cloning another."""
    if server.used:
        name = server.used.pop()
    else:
        name = f"test_{uuid4().hex}"
        await _administer(server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        yield server.dsn(name)
    finally:
        await _empty(server, name)
        server.used.append(name)


async def _empty(server: PostgresServer, name: str) -> None:
    """Cut every connection that a test left, and remove every row but the migrations' own."""
    emptying = server.emptiers.run(server.dsn(name))
    await asyncio.wrap_future(emptying)


@asynccontextmanager
async def fresh_pool(server: PostgresServer, *, max_size: int = 5) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a migrated database without rows."""
    async with empty_database(server) as dsn:
        pool = await create_pool(dsn, application_name="tests", max_size=max_size)
        try:
            yield pool
        finally:
            await close_pool(pool)
