"""Runs `sovereign` commands, each in a process of its own that need not import everything again.

Importing the API takes ten times as long as most commands. So one process imports it, and is
forked for each command; what a command reads is read anew: environment, folder, arguments, files.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
ENDS_WITHIN_S = 10.0
_STREAMS = ("in", "out", "err")
_EXPENSIVE = ("api.app", "sovereign_ari.app")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


class CommandServer:
    """The process that is forked. Enter it before use."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.command_server"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=ENDS_WITHIN_S)

    async def run(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: bytes
    ) -> Done:
        """Run a command to its end. One at a time."""
        return await asyncio.to_thread(self._run, words, environment, folder, stdin)

    def _run(
        self, words: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: bytes
    ) -> Done:
        with tempfile.TemporaryDirectory() as place:
            files = {name: Path(place) / name for name in _STREAMS}
            files["in"].write_bytes(stdin)
            order = {
                "words": list(words),
                "environment": dict(environment),
                "folder": str(folder),
                "place": place,
            }
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            return Done(code, files["out"].read_text(), files["err"].read_text())


def _serve() -> None:
    """Fork for each order on standard input, and answer it with the exit code."""
    for name in _EXPENSIVE:
        importlib.import_module(name)
    main = importlib.import_module("sovereign_ari.cli.main").main
    for line in sys.stdin:
        order = json.loads(line)
        if (pid := os.fork()) == 0:
            _become(order)
            _obey(main)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(order: Mapping[str, Any]) -> None:
    """Be the process that the order describes."""
    flags = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for number, (name, flag) in enumerate(zip(_STREAMS, flags, strict=True)):
        opened = os.open(f"{order['place']}/{name}", flag, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # what the server had read ahead is not the command's
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["sovereign", *order["words"]]


def _obey(main: Any) -> None:
    code: object = 1
    try:
        main()
        code = 0
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve()
