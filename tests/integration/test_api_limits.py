"""Limits across servers and processes, and answers when a body or the database is unwell."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from db.keys import create_key
from db.organisations import ensure_operator_organisation
from db.pool import create_pool
from sovereign_ari.bundle.ports import free_port
from tests.support.api import Api, running_api
from tests.support.platform import REPOSITORY
from tests.support.postgres import PostgresServer, fresh_database, run_migrated_server

STARTS_WITHIN_S = 60.0


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@asynccontextmanager
async def process_of_the_api(database_url: str, folder: Path, limit: int) -> AsyncIterator[str]:
    port = free_port("127.0.0.1")
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database_url,
        "SOVEREIGN_API_PORT": str(port),
        "SOVEREIGN_DATA_DIR": str(folder),
        "SOVEREIGN_RATE_LIMIT_PER_MINUTE": str(limit),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sovereign_ari", "api",
        cwd=REPOSITORY, env=environment, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(STARTS_WITHIN_S), aiohttp.ClientSession() as session:
            while not await is_ready(session, url):
                assert process.returncode is None, "the API ended"
                await asyncio.sleep(0.05)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def test_two_processes_grant_exactly_the_limit_together(
    database_url: str, tmp_path: Path
) -> None:
    limit = 30
    connection = await asyncpg.connect(database_url)
    operator = await ensure_operator_organisation(connection)
    _, key = await create_key(connection, operator, name="tests")
    await connection.close()
    headers = {"Authorization": f"Bearer {key}"}

    async def ask(session: aiohttp.ClientSession, url: str) -> tuple[int, int]:
        async with session.get(url, headers=headers) as response:
            return response.status, int(response.headers["X-RateLimit-Remaining"])

    async with (
        process_of_the_api(database_url, tmp_path, limit) as first,
        process_of_the_api(database_url, tmp_path, limit) as second,
        aiohttp.ClientSession() as session,
    ):
        # Paths that exist and paths that do not count alike.
        paths = ("/api/v1/numbers", "/api/v1/everything")
        urls = [f"{base}{path}" for base in (first, second) for path in paths] * 20
        answers = await asyncio.gather(*(ask(session, url) for url in urls))
    granted = [left for status, left in answers if status != 429]
    assert sorted(granted) == list(range(limit))
    assert {left for status, left in answers if status == 429} == {0}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/everything", 404), ("PUT", "/api/v1/assistants", 405), ("GET", "/x", 404)],
)
async def test_a_request_that_nothing_serves_counts_for_its_key(
    pool: asyncpg.Pool, method: str, path: str, status: int
) -> None:
    async with running_api(pool, rate_limit_per_minute=3) as api:
        headers = {"Authorization": f"Bearer {api.key}"}
        answers = [await api.client.request(method, path, headers=headers) for _ in range(4)]
        assert [answer.status for answer in answers] == [status] * 3 + [429]
        left = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
        assert left == ["2", "1", "0", "0"]
        stranger = await api.client.request(method, path, headers={"Authorization": "Bearer no"})
        assert (stranger.status, stranger.headers["X-RateLimit-Remaining"]) == (status, "3")


@pytest.mark.parametrize("path", ["/api/v1/assistants", "/healthz"])
async def test_a_body_that_cannot_be_unpacked_leaves_no_trace_in_the_log(
    api: Api, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    status, _ = await api.ask("POST", path, data=b"{}" * 50, headers={"Content-Encoding": "gzip"})
    assert status == (405 if path == "/healthz" else 400)
    assert (await api.ask("GET", "/api/v1/assistants"))[0] == 200
    assert "Traceback" not in caplog.text
    assert "Unhandled" not in caplog.text


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b'{"name": "a\\u0000"}', "name: a text holds a NUL"),
        (b'{"speech_config": {"x": [1, "\\ud800"]}}', "speech_config.x[1]: a text holds a NUL"),
        (b'{"speech_config": {"a\\u0000": 1}}', "speech_config: the name of a field holds a NUL"),
    ],
)
async def test_a_text_that_cannot_be_stored_is_named_by_its_path(
    api: Api, raw: bytes, line: str
) -> None:
    status, body = await api.ask("POST", "/api/v1/assistants", data=raw)
    assert status == 400
    assert body["details"][0].startswith(line)
    assert body["error"]["param"] == line.partition(":")[0]


def processes_of(server: PostgresServer) -> list[int]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return [server.pid, *map(int, children)]


async def is_healthy(api: Api) -> bool:
    return (await api.ask("GET", "/health"))[0] == 200


async def test_health_is_told_in_time_by_a_database_that_stands_still() -> None:
    with run_migrated_server() as server:
        async with fresh_database(server) as dsn:
            pool = await create_pool(dsn, application_name="tests", max_size=3)
            async with running_api(pool) as api:
                assert (await api.ask("GET", "/health"))[0] == 200
                frozen = processes_of(server)
                for pid in frozen:
                    os.kill(pid, signal.SIGSTOP)
                try:
                    begun_s = time.monotonic()
                    answers = await asyncio.gather(*(api.ask("GET", "/health") for _ in range(5)))
                    answers.append(await api.ask("GET", "/readyz"))
                    took_s = time.monotonic() - begun_s
                finally:
                    for pid in frozen:
                        os.kill(pid, signal.SIGCONT)
                assert [status for status, _ in answers] == [503] * 6
                assert took_s < 4  # two deadlines of a second, one after the other
                async with asyncio.timeout(20):
                    while not await is_healthy(api):  # noqa: ASYNC110 - of another process
                        await asyncio.sleep(0.05)
            await pool.close()
