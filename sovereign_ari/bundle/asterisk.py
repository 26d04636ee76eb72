"""The bundled PBX: finds or gets the program, and runs it in the data folder.

A private copy is run by its own loader on its own libraries, so that neither chroot nor root
rights are needed.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from sovereign_ari.bundle.asterisk_config import Folders, PbxValues, write_config
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.processes import Command
from sovereign_ari.errors import SetupFailed

INSTALLER = Path(__file__).resolve().parents[2] / "asterisk" / "install"
_POLL_S = 0.02
_PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """How to run one installed Asterisk.

    Attributes:
        argv: The program and what must precede its own arguments.
        modules: Folder of its modules.
        share: Folder of its documentation and REST descriptions.
    """

    argv: tuple[str, ...]
    modules: Path
    share: Path


def _first(root: Path, *patterns: str) -> Path:
    for pattern in patterns:
        if found := sorted(root.glob(pattern)):
            return found[0]
    raise SetupFailed(
        f"the Asterisk below {root} is incomplete: no {patterns[0]}",
        hint=f"remove it and run {INSTALLER}",
    )


def program_at(path: Path) -> Program:
    """Describe the Asterisk whose program is `path` (`<root>/usr/sbin/asterisk`).

    Raises:
        SetupFailed: When parts of it are missing.
    """
    root = path.parents[2]
    modules = _first(root, "usr/lib/*/asterisk/modules", "usr/lib*/asterisk/modules")
    share = _first(root, "usr/share/asterisk/documentation", "var/lib/asterisk/documentation")
    if root == Path("/"):
        return Program((str(path),), modules, share.parent)
    loader = _first(root, "usr/lib64/ld-linux-*.so.*", "usr/lib/ld-linux-*.so.*")
    argv = (str(loader), "--library-path", str(modules.parents[1]), str(path))
    return Program(argv, modules, share.parent)


def find_program(cache_dir: Path | None = None) -> Program:
    """Run `asterisk/install`, which is instant when there is nothing to do.

    Its messages go to our standard error, because a download takes a while.

    Args:
        cache_dir: Where a private copy is kept; None for the installer's own choice.

    Raises:
        SetupFailed: When Asterisk cannot be had here.
    """
    command = [str(INSTALLER)]
    if cache_dir is not None:
        command += ["--cache", str(cache_dir.absolute())]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.split()
    if done.returncode != 0 or not lines:
        raise SetupFailed("Asterisk is not available", hint=f"see the lines of {INSTALLER} above")
    return program_at(Path(lines[-1]))


class BundledAsterisk:
    """One configured PBX in one data folder."""

    def __init__(self, data: DataDir, program: Program, values: PbxValues) -> None:
        state = data.path / "asterisk"
        self.program = program
        self.values = values
        self.folders = Folders(
            etc=state / "etc",
            modules=program.modules,
            share=program.share,
            state=state,
            run=data.socket_folder("asterisk"),
            log=data.logs / "asterisk",
        )
        self._output = data.logs / "asterisk.log"

    @property
    def ari_url(self) -> str:
        """Where ARI answers, without a trailing slash."""
        return f"http://127.0.0.1:{self.values.ari_port}/ari"

    @property
    def cli(self) -> str:
        """A shell command line that opens the console; `-rx '<command>'` may be appended."""
        return shlex.join([*self._argv(), "-r"])

    def _argv(self) -> tuple[str, ...]:
        return (*self.program.argv, "-C", str(self.folders.etc / "asterisk.conf"))

    def configure(self) -> None:
        """Write the configuration and make its folders."""
        self.folders.state.mkdir(exist_ok=True)
        self.folders.state.chmod(0o700)
        folders = [self.folders.log, self.folders.run]
        folders += [self.folders.state / name for name in ("lib", "cache", "spool")]
        folders += [self.folders.state / "spool" / name for name in ("recording", "monitor")]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        write_config(self.values, self.folders)

    def command(self) -> Command:
        """What the supervisor runs."""
        # Asterisk opens two descriptors or more per call; it raises its own limit when it may.
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.folders.state),
            "LANG": "C.UTF-8",
            # The host's settings are for another version of the library.
            "OPENSSL_CONF": "/dev/null",
        }
        return Command(
            name="asterisk",
            argv=(*self._argv(), "-f", "-n"),
            log_path=self._output,
            environment=environment,
            stop_signal=signal.SIGTERM,
            orphan_signal=signal.SIGTERM,
        )

    async def wait_until_ready(self, timeout_s: float) -> None:
        """Return when ARI answers and every module is loaded.

        Raises:
            SetupFailed: When that takes longer than `timeout_s`.
        """
        password = self.values.ari_password
        login = aiohttp.encode_basic_auth(self.values.ari_username, password)
        headers = {"Authorization": login}
        try:
            async with (
                asyncio.timeout(timeout_s),
                aiohttp.ClientSession(headers=headers) as session,
            ):
                while True:
                    if await self._answers(session):
                        break
                    await asyncio.sleep(_POLL_S)
                await self._fully_booted()
        except TimeoutError:
            raise SetupFailed(
                f"Asterisk did not come up within {timeout_s:g} s: {self._last_words()}",
                hint=f"see {self._output} and {self.folders.log}",
            ) from None

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        limit = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
        try:
            async with session.get(f"{self.ari_url}/asterisk/ping", timeout=limit) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _fully_booted(self) -> None:
        console = await asyncio.create_subprocess_exec(
            *self._argv(),
            "-rx",
            "core waitfullybooted",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await console.wait()
        finally:
            if console.returncode is None:
                console.kill()
                await console.wait()

    def _last_words(self) -> str:
        for path in (self._output, self.folders.log / "messages.log"):
            if path.is_file():
                lines = [
                    line
                    for line in path.read_text(errors="replace").splitlines()
                    if "ERROR" in line
                ]
                if lines:
                    return lines[-1].strip()
        return "no error was logged"
