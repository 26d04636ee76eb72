"""Child processes that die with us, log to files, and come back when they crash."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 15.0
_TAIL_BYTES = 8192
_STABLE_S = 30.0  # a child that lived this long starts again with the first pause


@dataclass(frozen=True, slots=True)
class Account:
    """The system user a child runs as; None of both for our own."""

    user_id: int | None = None
    group_id: int | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    Attributes:
        name: Names the child in messages and its log file.
        argv: Program and arguments.
        log_path: Standard output and error are appended here.
        environment: The whole environment of the child.
        account: Whom it runs as.
        stop_signal: Asks it to end in order.
        orphan_signal: What the kernel sends it when we die.
    """

    name: str
    argv: tuple[str, ...]
    log_path: Path
    environment: Mapping[str, str]
    account: Account = field(default_factory=Account)
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM


def tie_to(parent: int, orphan_signal: int) -> None:
    """Have the kernel send us the signal when the parent process ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, orphan_signal, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), orphan_signal)


class Child:
    """One supervised process, in a process group of its own."""

    def __init__(
        self,
        command: Command,
        on_exit: Callable[[str, int], None] | None = None,
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self.command = command
        self.restarts = 0
        self._on_exit = on_exit
        self._on_restart = on_restart
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id, or None while it is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it and keep it running until `stop` or `kill`.

        Raises:
            OSError: When the program cannot be executed at all.
        """
        self._process = await self._spawn()
        self._watch = asyncio.create_task(self._keep_running(), name=f"child {self.command.name}")

    async def _spawn(self) -> asyncio.subprocess.Process:
        command = self.command
        with command.log_path.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                *command.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(command.environment),
                start_new_session=True,
                user=command.account.user_id,
                group=command.account.group_id,
                extra_groups=[] if command.account.user_id is not None else None,
                preexec_fn=functools.partial(tie_to, os.getpid(), command.orphan_signal),
                cwd="/" if command.account.user_id is not None else None,
            )

    async def _keep_running(self) -> None:
        pause_s = _FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while self._process is not None:
            started = loop.time()
            code = await self._process.wait()
            if self._stopping:
                return
            if self._on_exit is not None:
                self._on_exit(self.command.name, code)
            pause_s = (
                _FIRST_PAUSE_S
                if loop.time() - started > _STABLE_S
                else min(pause_s * 2, _LONGEST_PAUSE_S)
            )
            await asyncio.sleep(pause_s)
            self.restarts += 1
            self._process = await self._spawn()
            if self._on_restart is not None:
                self._on_restart(self.command.name)

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end, and kill it when it has not after `timeout_s`."""
        self._stopping = True
        if self.pid is not None:
            self._signal(self.command.stop_signal)
        await self._gone(timeout_s)

    async def kill(self) -> None:
        """End it and its descendants now."""
        self._stopping = True
        await self._gone(0)

    async def _gone(self, timeout_s: float) -> None:
        if self._process is not None and timeout_s > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout_s)
        if self.pid is not None:
            self._signal(signal.SIGKILL, group=True)
        if self._process is not None:
            await self._process.wait()
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    def _signal(self, number: signal.Signals, *, group: bool = False) -> None:
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if group:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)


def last_line(path: Path) -> str:
    """Return the last line of a log that says something, or a sentence that there is none.

    Of what a command of ours says at its end, that is the sentence, not the hint below it.
    """
    if path.is_file():
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = handle.read().decode(errors="replace").split("\n")
        for line in reversed(lines):
            if line.strip() and not line.startswith("hint: "):
                return line.strip().removeprefix("error: ")
    return "it said nothing"
