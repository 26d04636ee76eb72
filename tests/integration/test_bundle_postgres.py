"""The private PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from sovereign_ari.bundle import postgres
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.processes import Child
from sovereign_ari.errors import SetupFailed

TIMEOUT_S = 60.0


@asynccontextmanager
async def running(folder: Path, said: list[str]) -> AsyncIterator[postgres.Cluster]:
    data = DataDir(folder)
    cluster = postgres.prepare_cluster(data, said.append)
    child = Child(cluster.command())
    await child.start()
    try:
        await postgres.wait_until_ready(cluster, TIMEOUT_S)
        yield cluster
    finally:
        await child.stop(TIMEOUT_S)
        data.unlock()


async def test_a_cluster_keeps_its_data_and_has_no_tcp_port(open_folder: Path) -> None:
    said: list[str] = []
    async with running(open_folder, said) as cluster:
        connection = await asyncpg.connect(cluster.url())
        await connection.execute("create table kept (word text)")
        assert await connection.fetchval("show listen_addresses") == ""
        await connection.close()
    async with running(open_folder, said) as cluster:
        connection = await asyncpg.connect(cluster.url())
        assert await connection.fetchval("select count(*) from kept") == 0
        await connection.close()
        assert cluster.data.stat().st_mode & 0o777 == 0o700
        assert cluster.sockets.stat().st_mode & 0o777 == 0o700


async def test_the_log_quotes_no_row(open_folder: Path) -> None:
    async with running(open_folder, []) as cluster:
        connection = await asyncpg.connect(cluster.url())
        await connection.execute("create table numbers (number text unique)")
        for _ in range(2):
            with contextlib.suppress(asyncpg.UniqueViolationError):
                await connection.execute("insert into numbers values ($1)", "+31612345678")
        await connection.close()
        log = cluster.log_path.read_text()
    assert "duplicate key" in log
    assert "+31612345678" not in log


async def test_two_clusters_run_beside_each_other(open_folder: Path) -> None:
    async with (
        running(open_folder / "one", []) as one,
        running(open_folder / "two", []) as two,
    ):
        for cluster in (one, two):
            connection = await asyncpg.connect(cluster.url())
            found = await connection.fetchval("show data_directory")
            await connection.close()
            assert found == str(cluster.data)


async def test_a_very_long_path_is_no_obstacle(open_folder: Path) -> None:
    async with running(open_folder / ("long" * 40), []) as cluster:
        connection = await asyncpg.connect(cluster.url())
        await connection.close()


async def test_a_cluster_of_another_version_is_left_alone(open_folder: Path) -> None:
    async with running(open_folder, []) as cluster:
        version = cluster.data / "PG_VERSION"
    version.write_text("9\n")
    with pytest.raises(SetupFailed, match="made by PostgreSQL 9"):
        postgres.prepare_cluster(DataDir(open_folder), print)
    assert version.read_text() == "9\n"


async def test_folders_above_are_never_opened(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's cluster is put elsewhere, which is said; everybody else's runs as its owner."""
    monkeypatch.setattr(postgres, "_ELSEWHERE", open_folder / "elsewhere")
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    said: list[str] = []
    async with running(closed / "data", said) as cluster:
        is_root = os.getuid() == 0
        assert cluster.data.is_relative_to(open_folder / ("elsewhere" if is_root else "closed"))
        assert ["cannot enter" in line for line in said] == ([True] if is_root else [])
    assert closed.stat().st_mode & 0o777 == 0o700
