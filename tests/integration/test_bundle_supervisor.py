"""`sovereign up` as an operator uses it: start, crash, stop, and what it says about faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 40.0
POLL_S = 0.05


def environment(data: Path, **extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "SOVEREIGN_DATA_DIR": str(data),
        "SOVEREIGN_DRAIN_TIMEOUT_S": "1",
        **extra,
    }


async def command(folder: Path, *arguments: str, **extra: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sovereign_ari", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(folder / "data", **extra),
        cwd=folder,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                if condition():
                    return
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pytest.fail(f"{what} within {timeout_s:g} s")


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state in "ZX"


class Up:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.ready_file = folder / "data" / "ready.json"

    @property
    def ready(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ready_file.read_text())
        return found

    @property
    def key(self) -> str:
        return Path(self.ready["api_key_file"]).read_text().strip()

    def pid(self, name: str) -> int:
        with contextlib.suppress(OSError, KeyError):
            return int(self.ready["pids"][name])
        return 0

    async def wait_until_ready(self) -> None:
        def settled() -> bool:
            is_ours = self.pid("supervisor") == self.process.pid
            return is_ours or self.process.returncode is not None

        await until(settled, START_TIMEOUT_S, "it was not up")
        assert self.process.returncode is None, self.output

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()


@asynccontextmanager
async def up(folder: Path, **extra: str) -> AsyncIterator[Up]:
    with (folder / "output").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sovereign_ari", "up"),
            stdout=output,
            stderr=output,
            env=environment(folder / "data", **extra),
            cwd=folder,
        )
    running = Up(process, folder)
    try:
        await running.wait_until_ready()
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def folder(open_folder: Path) -> Path:
    return open_folder


async def test_everything_starts_says_where_it_is_and_ends(folder: Path) -> None:
    async with up(folder) as running:
        ready = running.ready
        pids = ready["pids"]
        assert set(pids) == {
            *("supervisor", "postgres", "asterisk", "api", "worker", "controller"),
        }
        assert ready["sip_uri"] == f"sip:1000@127.0.0.1:{ready['sip_port']}"
        key = running.key
        assert running.output.count(key) == 1
        connection = await asyncpg.connect(ready["database_url"])
        assert await connection.fetchval("select count(*) from assistants") == 1
        await connection.close()
        shell = await asyncio.create_subprocess_shell(
            f"{ready['asterisk_cli']} -rx 'sovereign apps'", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await shell.communicate()
        assert "sovereign" in printed.decode()
        code, status, _ = await command(folder, "status")
        assert code == 0, status
        code, _, errors = await command(folder, "up")
        assert code == 1
        assert f"in use by process {pids['supervisor']}" in errors
        assert await running.stop() == 0
        assert not running.ready_file.exists()
        assert all(gone(pid) for pid in pids.values())
    async with up(folder) as again:
        assert again.key == key
        assert again.output.count(key) == 1, "the key is shown once, not at every start"
        assert await again.stop(signal.SIGTERM) == 0


async def test_a_part_that_crashes_comes_back(folder: Path) -> None:
    async with up(folder) as running:
        for name in ("asterisk", "controller", "postgres"):
            before = running.pid(name)
            os.kill(before, signal.SIGKILL)

            def back(name: str = name, before: int = before) -> bool:
                return running.pid(name) not in (0, before)

            await until(back, 30, f"{name} was not back")
            assert f"{name} ended with code" in running.output
        assert await running.stop() == 0


async def test_nothing_outlives_a_killed_supervisor(folder: Path) -> None:
    async with up(folder) as running:
        pids = running.ready["pids"].values()
        running.process.kill()
        await running.process.wait()
        await until(lambda: all(gone(pid) for pid in pids), 30, "every child was gone")
    async with up(folder) as again:  # the stale ready.json and sockets are no obstacle
        assert await again.stop() == 0


async def test_a_second_signal_ends_everything_at_once(folder: Path) -> None:
    async with up(folder) as running:
        pids = running.ready["pids"].values()
        os.kill(running.pid("controller"), signal.SIGSTOP)  # it will not drain
        running.process.send_signal(signal.SIGINT)
        await until(lambda: "draining" in running.output, 10, "draining began")
        assert await running.stop() == 0
        assert all(gone(pid) for pid in pids)


async def test_a_default_port_that_is_busy_moves(folder: Path) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # or somebody else has it: as good
            holder.bind(("127.0.0.1", 8080))
            holder.listen()
        async with up(folder) as running:
            assert running.ready["api_url"] != "http://127.0.0.1:8080/api/v1"
            assert await running.stop() == 0


@pytest.mark.parametrize("name", ["SOVEREIGN_API_PORT", "SOVEREIGN_SIP_PORT"])
async def test_a_chosen_port_that_is_busy_is_one_sentence(folder: Path, name: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        code, output, errors = await command(folder, "up", **{name: port})
    assert (code, output) == (1, "")
    assert port in errors
    assert name in errors
    assert "Traceback" not in errors


async def test_a_mistyped_setting_and_a_mistyped_command_are_errors(folder: Path) -> None:
    code, _, errors = await command(folder, "status", SOVEREIGN_API_PROT="1")
    assert code == 1
    assert "SOVEREIGN_API_PORT" in errors
    code, _, errors = await command(folder, "statsu")
    assert code == 2


async def test_keys_are_made_listed_and_revoked(folder: Path, database_url: str) -> None:
    async def keys(*arguments: str) -> str:
        code, output, errors = await command(folder, "keys", *arguments, DATABASE_URL=database_url)
        assert code == 0, errors
        return output

    key = (await keys("create", "laptop")).strip()
    assert key.startswith("fl_live_")
    (line,) = [line for line in (await keys("list")).splitlines() if "laptop" in line]
    assert "valid" in line
    assert key not in line
    assert "revoked laptop" in await keys("revoke", line.split()[0])
    assert "revoked" in await keys("list")
    for arguments, sentence in (
        (("revoke", "nonsense"), "error: nonsense is not the id of a key"),
        (("revoke", str(UUID(int=0))), f"error: no API key {UUID(int=0)}"),
        (("create", ""), "error: the name of a key has 1 to 255 characters"),
        (("create", 256 * "x"), "error: the name of a key has 1 to 255 characters"),
    ):
        code, _, errors = await command(folder, "keys", *arguments, DATABASE_URL=database_url)
        assert code == 1
        assert errors.splitlines()[0] == sentence


@pytest.mark.parametrize("url", ["mysql://localhost/x", "postgresql://nobody@127.0.0.1:1/x"])
async def test_a_database_that_is_not_there_is_one_sentence(folder: Path, url: str) -> None:
    for arguments in (("up",), ("migrate",), ("keys", "list")):
        code, _, errors = await command(folder, *arguments, DATABASE_URL=url)
        assert code == 1
        assert errors.startswith("error: the database cannot be reached: ")
        assert len(errors.splitlines()) == 2
        assert "hint:  check DATABASE_URL" in errors
    assert not (folder / "data" / "ready.json").exists()


async def test_a_terminal_that_goes_away_ends_nothing(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sovereign_ari", "up"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(folder / "data"),
        cwd=folder,
    )
    running = Up(process, folder)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # as `| head` does
        await running.wait_until_ready()
        before = running.pid("worker")
        os.kill(before, signal.SIGKILL)
        await until(lambda: running.pid("worker") not in (0, before), 30, "the worker was back")
        assert await running.stop() == 0
        assert not running.ready_file.exists()
        assert (await process.stderr.read()).decode() == ""
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
