"""Guards and servers that every test may use."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from tests.support.postgres import (
    PostgresServer,
    empty_database,
    fresh_pool,
    run_migrated_server,
)

# Speed is never asserted: a busy machine must not fail a property. The usual run tries the same
# examples each time: what it says is about the change, not about luck. `make test-thorough` looks
# long and elsewhere; what it finds becomes an explicit example.
settings.register_profile("quick", deadline=None, max_examples=40, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("SOVEREIGN_TEST_EXAMPLES", "quick"))

ENDS_WITHIN_S = 2.0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can reach, as an operator's is; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="sovereign-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
async def no_task_outlives_its_test() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    leaked = asyncio.all_tasks() - before - {asyncio.current_task()}
    if leaked:  # gRPC's server returns from its end before the tasks of its calls do
        _, leaked = await asyncio.wait(leaked, timeout=ENDS_WITHIN_S)
    assert not leaked, f"leaked tasks: {[task.get_name() for task in leaked]}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with run_migrated_server() as server:
        yield server


@pytest.fixture
async def database_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    async with empty_database(postgres_server) as dsn:
        yield dsn


@pytest.fixture
async def pool(postgres_server: PostgresServer) -> AsyncIterator[asyncpg.Pool]:
    async with fresh_pool(postgres_server) as pool:
        yield pool


@pytest.fixture
async def connection(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    async with pool.acquire() as connection:
        yield connection
