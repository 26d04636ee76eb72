"""`sovereign keys` as an operator types it, on a real database and a real file."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from db.byok import bound_to, open_keys, put_key, sealed_keys
from db.keys import create_key, find_key
from db.organisations import ensure_operator_organisation
from db.pool import connect
from db.sealed import sealed_under
from sovereign_ari.bundle.ports import free_port
from sovereign_ari.masterkeys import load_vault, read_keys
from sovereign_ari.vault import Vault

ROOT = Path(__file__).parents[2]
YEARS_AGO = "UPDATE api_keys SET expires_at = '2020-01-01' WHERE name = $1"


class Shell:
    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.file = folder / "master.keys"

    async def start(self, *words: str, **more: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            "SOVEREIGN_MASTER_KEY_FILE": str(self.file),
            "SOVEREIGN_DATA_DIR": str(self.folder),
            "PYTHONPATH": str(ROOT),
            **more,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sovereign_ari", *words,
            cwd=self.folder, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def run(self, *words: str) -> tuple[int, str, str]:
        process = await self.start(*words)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
def shell(database_url: str, tmp_path: Path) -> Shell:
    return Shell(database_url, tmp_path)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(database_url, application_name="tests")
    yield connection
    await connection.close()


async def store(connection: asyncpg.Connection, shell: Shell, **keys: str) -> str:
    """Store vendors' keys under the key that is newest in the file."""
    owner = await ensure_operator_organisation(connection)
    vault = load_vault(shell.file)
    for provider, key in keys.items():
        sealed = vault.seal(key.encode(), bound_to(owner, provider))
        await put_key(connection, owner, provider, sealed)
    return owner


# API keys.


async def test_a_key_is_made_with_scopes_and_an_end_and_listed_with_both(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    code, out, err = await shell.run(
        "keys",
        "create",
        "reports",
        "--scope",
        "calls",
        "--scope",
        "read",
        "--expires",
        "2097-01-02",
    )
    assert (code, err) == (0, "")
    record = await find_key(connection, out.strip())
    assert record is not None
    assert record.scopes == ["read", "calls"]
    assert record.expires_at is not None
    assert record.expires_at.isoformat() == "2097-01-02T00:00:00+00:00"
    await shell.run("keys", "create", "old")
    await connection.execute(YEARS_AGO, "old")
    _, out, _ = await shell.run("keys", "list")
    old, reports = out.splitlines()[1:]
    assert re.search(r" reports +read calls +.* 2097-01-02 00:00 +valid$", reports)
    assert re.search(r" old +admin +.* never +2020-01-01 00:00 +expired$", old)
    _, out, _ = await shell.run("keys", "list", "--json")
    shown = {key["name"]: key for key in json.loads(out)["keys"]}
    assert shown["reports"]["scopes"] == ["read", "calls"]
    assert shown["reports"]["expires_at"] == "2097-01-02T00:00:00.000Z"
    assert (shown["old"]["state"], shown["old"]["revoked_at"]) == ("expired", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scope", "write"], "'write' is no scope of a key"),
        (["--expires", "tomorrow"], "'tomorrow' is neither a day nor a moment"),
        (["--expires", "2020-01-01"], "2020-01-01 has passed already"),
    ],
)
async def test_a_bad_option_is_said_and_makes_no_key(
    shell: Shell, connection: asyncpg.Connection, words: list[str], said: str
) -> None:
    code, out, err = await shell.run("keys", "create", "k", *words)
    assert (code, out) == (1, "")
    assert said in err
    assert "hint:" in err
    assert await connection.fetchval("SELECT count(*) FROM api_keys") == 0


# The master key.


async def test_the_master_key_is_changed_and_the_old_one_dropped(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    owner = await store(connection, shell, openai="sk-1", xai="sk-2")
    running = load_vault(shell.file)
    code, out, err = await shell.run("keys", "rotate-master")
    assert (code, err) == (0, "")
    assert re.search(r"^byok_keys.secret +2$", out, re.M)
    assert "sealed again in all: 2" in out
    assert "older keys that are still in the file: 1" in out
    assert shell.file.stat().st_mode & 0o777 == 0o600
    assert len(read_keys(shell.file)) == 2
    code, out, err = await shell.run("keys", "rotate-master", "--drop-old")
    assert (code, err) == (0, "")
    assert out == f"older keys dropped from {shell.file}: 1\n"
    assert len(read_keys(shell.file)) == 1
    sealed = await sealed_keys(connection, owner)
    for vault in (running, load_vault(shell.file)):
        assert open_keys(vault, owner, sealed) == {"openai": "sk-1", "xai": "sk-2"}


async def test_old_keys_that_are_needed_are_not_dropped(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    await store(connection, shell, openai="sk-1")
    await shell.run("keys", "rotate-master")
    owner = await ensure_operator_organisation(connection)
    stale = Vault(read_keys(shell.file)[1:])
    await put_key(connection, owner, "xai", stale.seal(b"sk-2", bound_to(owner, "xai")))
    code, _, err = await shell.run("keys", "rotate-master", "--drop-old")
    assert code == 1
    assert "still sealed under older master keys" in err
    assert "--resume" in err
    code, out, _ = await shell.run("keys", "rotate-master", "--resume")
    assert code == 0
    assert "sealed again in all: 1" in out
    assert len(read_keys(shell.file)) == 2
    assert (await shell.run("keys", "rotate-master", "--drop-old"))[0] == 0


async def test_two_options_at_once_are_refused(shell: Shell) -> None:
    code, _, err = await shell.run("keys", "rotate-master", "--resume", "--drop-old")
    assert code == 1
    assert "two steps" in err


async def test_a_value_that_does_not_open_is_named_and_fails_the_command(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    owner = await store(connection, shell, openai="sk-1")
    await put_key(connection, owner, "xai", b"nothing that was sealed, but long enough")
    code, out, err = await shell.run("keys", "rotate-master")
    assert code == 1
    assert f"does not open: byok_keys.secret {owner} xai" in out
    assert "did not open and stay as they are: 1" in err


async def test_a_rotation_that_is_interrupted_says_how_to_go_on(
    shell: Shell, connection: asyncpg.Connection, database_url: str
) -> None:
    owner = await store(connection, shell, openai="sk-1", xai="sk-2")
    other = await connect(database_url, application_name="tests")
    async with connection.transaction():
        await connection.execute("SELECT FROM byok_keys WHERE provider = 'xai' FOR UPDATE")
        process = await shell.start("keys", "rotate-master")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        async with asyncio.timeout(30):
            while not await other.fetchval(waiting):  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 130
    assert b"go on with `sovereign keys rotate-master --resume`" in out
    code, text, _ = await shell.run("keys", "rotate-master", "--resume")
    assert code == 0
    assert "sealed again in all: 2" in text  # the batch was undone whole
    assert len(read_keys(shell.file)) == 2
    opened = open_keys(load_vault(shell.file), owner, await sealed_keys(other, owner))
    assert opened == {"openai": "sk-1", "xai": "sk-2"}
    await other.close()


# Processes that begin.


async def test_the_api_refuses_to_start_without_the_file_that_secrets_need(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    await store(connection, shell, openai="sk-1")
    newest = load_vault(shell.file).newest.hex()
    shell.file.rename(shell.folder / "elsewhere")
    for words in (("api",), ("keys", "rotate-master"), ("assistants", "list")):
        code, _, err = await shell.run(*words)
        assert code == 1, words
        assert newest in err
        assert "restore the file" in err
        assert not shell.file.exists()


async def test_a_running_api_serves_through_a_rotation(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    owner = await ensure_operator_organisation(connection)
    _, key = await create_key(connection, owner, name="tests")
    port = free_port("127.0.0.1")
    process = await shell.start("api", SOVEREIGN_API_PORT=str(port))
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "one"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        await _answering(session)
        first = await _post(session, "/api/v1/keys", {"name": "k"})
        await _post(session, "/api/v1/byok", {"provider": "openai", "api_key": "sk-1"}, "two")
        before = load_vault(shell.file).newest
        for step in ("--no-resume", "--drop-old"):
            code, _, err = await shell.run("keys", "rotate-master", step)
            assert (code, err) == (0, "")
            assert await _post(session, "/api/v1/keys", {"name": "k"}) == first
            await _post(session, "/api/v1/byok", {"provider": "xai", "api_key": "sk-2"}, step)
        assert load_vault(shell.file).key_ids != [before]
        assert set(await sealed_under(connection)) == {load_vault(shell.file).newest}
    process.terminate()
    out, err_bytes = await process.communicate()
    assert process.returncode == 0
    assert b"sk-" not in out + err_bytes


async def _answering(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with session.get("/health") as response:
                    assert response.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def _post(
    session: aiohttp.ClientSession, path: str, body: object, key: str = "one"
) -> object:
    async with session.post(path, json=body, headers={"Idempotency-Key": key}) as response:
        assert response.status in (200, 201)
        return await response.json()
