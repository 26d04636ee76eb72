"""`sovereign doctor`: checks every part, calls the demo, and says what to do about each fault."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from sovereign_ari.bundle.asterisk import find_program
from sovereign_ari.bundle.ports import SIP, TCP, is_free
from sovereign_ari.bundle.postgres import find_binaries
from sovereign_ari.cli.database import read_ready
from sovereign_ari.cli.doctor_call import NUMBER, call_demo
from sovereign_ari.cli.status import ari_login, probe_parts
from sovereign_ari.doctor.finding import Finding, Grade
from sovereign_ari.errors import SetupFailed
from sovereign_ari.settings import Settings

CODECS = ("ulaw", "alaw", "g722")
_TIMEOUT_S = 10.0
_COLUMN = 22
_UNWRAPPED = 10_000


async def doctor(settings: Settings) -> bool:
    """Print every finding; return whether nothing is broken."""
    with _sigterm_is_ctrl_c():
        print("the parts")
        findings = await examine(settings)
        _show(findings)
        ready = read_ready(settings.data_dir)
        if ready is not None:
            print(f"\na call to {NUMBER}, which takes about 20 seconds", flush=True)
            called = await call_demo(settings, ready)
            _show(called)
            findings += called
    broken = sum(finding.grade is Grade.FAIL for finding in findings)
    imperfect = sum(finding.grade is not Grade.OK for finding in findings)
    print(f"\n{_summary(broken, imperfect)}")
    return not broken


def _summary(broken: int, imperfect: int) -> str:
    if broken:
        return f"{broken} broken"
    return f"nothing is broken; {imperfect} could be better" if imperfect else "all is well"


def _show(findings: Iterable[Finding]) -> None:
    columns = shutil.get_terminal_size(fallback=(_UNWRAPPED, 24)).columns
    for finding in findings:
        head = f"  {finding.grade.value:<5} {finding.what:<{_COLUMN}} "
        print(_wrapped(head, finding.detail, columns))
        if finding.grade is not Grade.OK and finding.remedy:
            print(_wrapped("        -> ", finding.remedy, columns))
    sys.stdout.flush()


def _wrapped(head: str, text: str, columns: int) -> str:
    return textwrap.fill(
        text,
        width=max(columns, len(head) + 30),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


@contextmanager
def _sigterm_is_ctrl_c() -> Iterator[None]:
    """End by SIGTERM as by Ctrl-C: what was made in the PBX is removed first."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def examine(settings: Settings) -> list[Finding]:
    """Run all checks that need no call."""
    findings = [_python(), _espeak()]
    if settings.database_url is None:
        findings.append(_postgres_binaries())
    if settings.ari_url is None:
        findings.append(await _asterisk_binary(settings))
    findings.append(await _openai(settings))
    ready = read_ready(settings.data_dir)
    if ready is None:
        findings += _ports(settings)
        nothing = f"nothing is up in {settings.data_dir.resolve()}, so no call was tried"
        findings.append(_judged("running", False, nothing, "start it with `sovereign up`"))
        return findings
    return findings + await _running_parts(settings, ready)


async def _running_parts(settings: Settings, ready: dict[str, Any]) -> list[Finding]:
    logs = Path(ready["data_dir"]) / "logs"
    findings = [
        _judged(probe.name, probe.good, probe.detail, f"see {logs}")
        for probe in await probe_parts(ready, ari_login(settings))
    ]
    if ready["asterisk_cli"] is not None:
        findings.append(await _codecs(ready["asterisk_cli"]))
    return findings


def _judged(what: str, good: bool, detail: str, remedy: str = "") -> Finding:
    return Finding(what, Grade.OK if good else Grade.FAIL, detail, remedy)


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return _judged("Python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _espeak() -> Finding:
    path = shutil.which("espeak-ng")
    remedy = "apt-get install espeak-ng: the offline voice needs it"
    return _judged("espeak-ng", path is not None, path or "not found", remedy)


def _postgres_binaries() -> Finding:
    try:
        return _judged("PostgreSQL programs", True, str(find_binaries()))
    except SetupFailed as error:
        return _judged("PostgreSQL programs", False, str(error), error.hint or "")


async def _asterisk_binary(settings: Settings) -> Finding:
    try:
        program = await asyncio.to_thread(find_program, settings.cache_dir)
        done = await asyncio.create_subprocess_exec(
            *program.argv, "-V", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await done.communicate()
    except SetupFailed as error:
        return _judged("Asterisk program", False, str(error), error.hint or "")
    return _judged("Asterisk program", done.returncode == 0, printed.decode().strip())


def _ports(settings: Settings) -> Iterable[Finding]:
    wanted: list[tuple[str, str, int, str, tuple[int, ...]]] = [
        ("API", settings.bind, settings.api_port, "api_port", TCP)
    ]
    if settings.ari_url is None:
        wanted.append(("SIP", settings.bind, settings.sip_port, "sip_port", SIP))
        wanted.append(("ARI", "127.0.0.1", settings.ari_port, "ari_port", TCP))
    for what, address, port, field, kinds in wanted:
        free = is_free(address, port, kinds)
        fixed = settings.chosen(field)
        detail = f"{address}:{port} is {'free' if free else 'busy'}"
        if not free and not fixed:
            detail += "; another will be taken"
        remedy = f"free it, or set SOVEREIGN_{field.upper()} to another port"
        yield _judged(f"{what} port", free or not fixed, detail, remedy)


async def _codecs(asterisk_cli: str) -> Finding:
    console = await asyncio.create_subprocess_shell(
        f"{asterisk_cli} -x 'core show translation'",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    printed, _ = await console.communicate()
    found = set(re.findall(r"^\s*([a-z0-9]+)\s", printed.decode(errors="replace"), re.MULTILINE))
    missing = [codec for codec in CODECS if codec not in found]
    detail = ", ".join(CODECS) if not missing else f"no {', '.join(missing)}"
    return _judged("codecs", not missing, detail, "load the codec modules in modules.conf")


async def _openai(settings: Settings) -> Finding:
    what = "OpenAI key"
    if settings.openai_api_key is None:
        return _judged(what, True, "not set; the demo assistant works offline")
    url = f"{settings.openai_base_url.rstrip('/')}/models"
    headers = {"Authorization": f"Bearer {settings.openai_api_key.get_secret_value()}"}
    limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(url, headers=headers) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        remedy = "check OPENAI_BASE_URL and the network"
        return _judged(what, False, f"{url}: {str(error) or 'no answer'}", remedy)
    remedy = "check OPENAI_API_KEY" if status in (401, 403) else "check OPENAI_BASE_URL"
    return _judged(what, status == 200, f"{url} answered {status}", remedy)
