"""The product as shipped: `sovereign up` in a data folder of its own, for tests and benches."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

from sovereign_ari.bundle.ports import SIP, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 40.0
_CLI_TIMEOUT_S = 10.0
_POLL_S = 0.05
_RTP_PORTS = 500

Json = dict[str, Any]


class PlatformFailed(Exception):
    """The product did not start, or did not stop, as it must; the message holds its output."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the API: status and parsed body."""

    status: int
    body: Json


class ApiClient:
    """The REST API with one key. Enter it before use."""

    def __init__(self, base_url: str, key: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._key}"}
        timeout = aiohttp.ClientTimeout(total=10)
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout)
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def request(self, method: str, path: str, body: Json | None = None) -> Answer:
        """Send one request; `path` begins with a slash and follows the API's base."""
        assert self._session is not None
        async with self._session.request(method, self._base_url + path, json=body) as response:
            text = await response.text()
            parsed = json.loads(text) if text else {}
            return Answer(response.status, parsed)

    async def get(self, path: str) -> Json:
        """Read; anything but 200 is an error."""
        answer = await self.request("GET", path)
        assert answer.status == 200, f"GET {path}: {answer}"
        return answer.body

    async def create(self, path: str, body: Json) -> Json:
        """Create; anything but 201 is an error."""
        answer = await self.request("POST", path, body)
        assert answer.status == 201, f"POST {path}: {answer}"
        return answer.body

    async def change(self, path: str, body: Json) -> Json:
        """Change; anything but 200 is an error."""
        answer = await self.request("PATCH", path, body)
        assert answer.status == 200, f"PATCH {path}: {answer}"
        return answer.body


@dataclass(frozen=True, slots=True)
class Platform:
    """A running product.

    Attributes:
        ready: `ready.json`.
        data_dir: Its data folder.
    """

    ready: Json
    data_dir: Path

    @property
    def sip(self) -> tuple[str, int]:
        """Where to send SIP."""
        return "127.0.0.1", int(self.ready["sip_port"])

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, as announced last."""
        found = json.loads((self.data_dir / "ready.json").read_text())
        return {str(name): int(pid) for name, pid in found["pids"].items()}

    @property
    def controller_pid(self) -> int:
        """The first controller's process."""
        return self.pids["controller"]

    @property
    def key(self) -> str:
        """The first API key."""
        return Path(self.ready["api_key_file"]).read_text().strip()

    def api(self, key: str | None = None) -> ApiClient:
        """Talk to the API, with the first key or another."""
        return ApiClient(self.ready["api_url"], key or self.key)

    async def asterisk_cli(self, command: str) -> str:
        """Run one command in the console of the PBX."""
        argv = [*shlex.split(self.ready["asterisk_cli"]), "-x", command]
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(_CLI_TIMEOUT_S):
            output, _ = await process.communicate()
        return output.decode()

    async def metric(self, name: str) -> float:
        """Sum all samples of a metric of the controller."""
        url = f"{self.ready['controller_url']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            lines = (await response.text()).splitlines()
        values = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        found = [float(value) for key, value in values if key.partition("{")[0] == name]
        assert found, f"the controller has no metric {name}"
        return sum(found)


async def until_ready(url: str) -> None:
    """Wait until a process says at `/readyz` that it can work."""
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running_platform(env: Mapping[str, str]) -> AsyncIterator[Platform]:
    """Run `sovereign up --tied` in a new folder and stop it with SIGINT.

    The folder with its logs is kept when anything went wrong, and its name is in the error.

    Args:
        env: Settings; ports and the data folder are chosen here unless given.

    Raises:
        PlatformFailed: When it does not get ready, ends with an error, or leaves a process.
    """
    folder = _new_folder()
    data_dir = folder / "data"
    output = folder / "up.log"
    async with _alone_at_start():
        process = await _start(folder, _environment(data_dir, env), output)
        try:
            ready = await _ready(process, data_dir / "ready.json", output)
        except BaseException:
            await _stop(process, output)
            raise
    platform = Platform(ready, data_dir)
    try:
        yield platform
        pids = platform.pids
    except BaseException:
        await _stop(process, output)
        raise
    code = await _stop(process, output)
    left = [name for name, pid in pids.items() if _lives(pid)]
    if code != 0 or left:
        raise PlatformFailed(f"ended with {code}, left {left}:\n{_tail(output)}")
    shutil.rmtree(folder)


@asynccontextmanager
async def _alone_at_start() -> AsyncIterator[None]:
    """Let one product start at a time: the ports that it found free are not yet its own."""
    with (Path(tempfile.gettempdir()) / "sovereign-test-start.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sovereign-test-"))
    folder.chmod(0o711)  # the PostgreSQL user passes through
    return folder


def _environment(data_dir: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the developer's own settings reaches the product."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    first = 10_000 + _RTP_PORTS * random.SystemRandom().randrange(40)
    chosen = {
        "SOVEREIGN_DATA_DIR": str(data_dir),
        "SOVEREIGN_API_PORT": str(free_port("127.0.0.1")),
        "SOVEREIGN_SIP_PORT": str(free_port("127.0.0.1", SIP)),
        "SOVEREIGN_ARI_PORT": str(free_port("127.0.0.1")),
        "SOVEREIGN_RTP_PORTS": f"{first}-{first + _RTP_PORTS - 1}",
        "PYTHONPATH": str(REPOSITORY),
    }
    return kept | chosen | dict(env)


async def _start(
    folder: Path, environment: Mapping[str, str], output: Path
) -> asyncio.subprocess.Process:
    with output.open("wb") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sovereign_ari",
            "up",
            "--tied",  # a test run that is killed leaves nothing running
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )


async def _ready(process: asyncio.subprocess.Process, file: Path, output: Path) -> Json:
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while (ready := _read_json(file)) is None:
                if process.returncode is not None:
                    raise PlatformFailed(f"ended with {process.returncode}:\n{_tail(output)}")
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise PlatformFailed(f"not ready in time:\n{_tail(output)}") from None
    return ready


async def _stop(process: asyncio.subprocess.Process, output: Path) -> int:
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            return await process.wait()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise PlatformFailed(f"did not stop in time:\n{_tail(output)}") from None


def _read_json(file: Path) -> Json | None:
    """Read a file that another process may not have written yet."""
    return dict(json.loads(file.read_text())) if file.is_file() else None


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _tail(output: Path, lines: int = 40) -> str:
    text = output.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join([*text, f"(see {output.parent})"])
