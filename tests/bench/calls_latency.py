"""How fast calls are, and what they cost: 1, 10, 50 and 100 at once, and which stage costs what.

Product, PBX, database, vendor and callers share this machine; the vendor answers at once. The
assistant has everything switched on that a call can have: a room behind it, tools, fall-back
providers, rules of pronunciation, end phrases, and its own handling of silence. `--plain` measures
one that has none of it. Prints tables and writes `results/calls_latency.json` (or
`calls_latency_plain.json`). `python -m tests.bench.calls_latency [--plain] [CALLS ...]`
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tests.bench.calls_stages import Stage, ended_calls, print_stages, stages_of
from tests.bench.calls_vendor import GREETING
from tests.bench.machine import describe, usage
from tests.support.platform import REPOSITORY, Platform, running_platform

RESULTS = Path(__file__).parent / "results"
LEVELS = (1, 10, 50, 100)
PER_SECOND = 20.0
ENDPOINTING_S = 0.4
ROUNDS_FOR_ONE = 5
"""A single call says little: it is made this often, one after the other."""
NUMBER = "+31205550100"
PLAIN: dict[str, Any] = {"name": "Plain", "first_message": GREETING}
EVERYTHING: dict[str, Any] = {
    "name": "Everything",
    "first_message": GREETING,
    "autonomous_silence_handling": True,
    "llm_config": {
        "provider": "openai",
        "model": "gpt-5.4",
        "messages": [{"role": "system", "content": "You answer the telephone."}],
        "tools": [
            {"type": "end_call"},
            {"name": "look_up", "description": "Finds an order.", "url": "https://example.com/"},
        ],
        "fallback": [{"provider": "openai", "model": "gpt-5.4-nano"}],
    },
    "speech_config": {
        # So quiet that the callers' measurements, which look for sound over -41 dBFS, pass it by.
        "background_audio": {"enabled": True, "clip": "office", "volume": 0.05},
        "silence": {"first_check_seconds": 10},
        "pronunciation": [{"from": "ARI", "to": "A R I"}, {"from": "PBX", "to": "P B X"}],
        "end_call_phrases": ["have a nice day"],
    },
}

Calls: TypeAlias = list[dict[str, Any]]
"""What the callers measured, one entry per call."""


@dataclass(frozen=True)
class Row:
    """One line of the table; milliseconds unless named otherwise."""

    calls: int
    failed: int
    answer_p50: float
    answer_p95: float
    greeting_p50: float
    greeting_p95: float
    voice_to_voice_p50: float
    voice_to_voice_p95: float
    pause_p50: float
    pause_p95: float
    clicks_survived: str
    spacing_p99: float
    spacing_max: float
    holes: int
    lost: int
    controller_cpu_per_call: float
    asterisk_cpu_per_call: float
    memory_per_call_kib: float
    vendor_cpu: float
    callers_cpu: float


TITLES = {
    "calls": "calls at once",
    "failed": "calls that went wrong",
    "answer_p50": "INVITE to 200, p50, ms",
    "answer_p95": "INVITE to 200, p95, ms",
    "greeting_p50": "answer to first greeting audio, p50, ms",
    "greeting_p95": "answer to first greeting audio, p95, ms",
    "voice_to_voice_p50": "voice to voice beyond the end-of-turn delay, p50, ms",
    "voice_to_voice_p95": "voice to voice beyond the end-of-turn delay, p95, ms",
    "pause_p50": "caller speaks to agent pauses, p50, ms",
    "pause_p95": "caller speaks to agent pauses, p95, ms",
    "clicks_survived": "60 ms clicks that did not stop the agent",
    "spacing_p99": "packet spacing, p99, ms",
    "spacing_max": "packet spacing, longest gap, ms",
    "holes": "holes over 10 ms in replies (40 ms jitter buffer)",
    "lost": "packets lost on the way to the caller",
    "controller_cpu_per_call": "controller CPU per call, % of a core",
    "asterisk_cpu_per_call": "Asterisk CPU per call, % of a core",
    "memory_per_call_kib": "controller memory per call, KiB",
    "vendor_cpu": "the bench's own vendor, % of a core",
    "callers_cpu": "the bench's own callers, % of a core",
}


@asynccontextmanager
async def vendor() -> AsyncIterator[tuple[str, int]]:
    """Run the vendor in a process of its own; yields its base URL and process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.bench.calls_vendor",
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            base_url = (await process.stdout.readline()).decode().strip()
        yield base_url, process.pid
    finally:
        process.stdin.close()
        await process.wait()


async def callers(platform: Platform, calls: int) -> dict[str, Any]:
    """Run the callers in a process of their own; returns what they measured."""
    host, port = platform.sip
    job = {
        "host": host,
        "port": port,
        "number": NUMBER,
        "calls": calls,
        "per_second": PER_SECOND,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.bench.calls_caller",
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(job).encode())
    assert process.returncode == 0, f"the callers ended with {process.returncode}"
    return dict(json.loads(output))


@dataclass
class Watch:
    """What was used while calls ran: CPU seconds by process, and the controller's growth."""

    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    grown_bytes: int = 0


async def watched(pids: Mapping[str, int], platform: Platform, calls: int, watch: Watch) -> Calls:
    """Run the callers and look at the processes meanwhile."""
    before = {name: usage(pid) for name, pid in pids.items()}
    begun_s = time.monotonic()
    running = asyncio.create_task(callers(platform, calls))
    while not running.done():
        await asyncio.wait([running], timeout=0.25)
        now_bytes = usage(pids["controller"]).resident_bytes
        grown_bytes = now_bytes - before["controller"].resident_bytes
        watch.grown_bytes = max(watch.grown_bytes, grown_bytes)
    watch.wall_s += time.monotonic() - begun_s
    for name, pid in pids.items():
        watch.cpu_s[name] += usage(pid).cpu_s - before[name].cpu_s
    result = running.result()
    watch.cpu_s["callers"] += result["cpu_s"]
    return list(result["calls"])


async def level(platform: Platform, vendor_pid: int, calls: int) -> Row:
    """Measure one number of calls at once."""
    pids = {name: platform.pids[name] for name in ("controller", "asterisk")}
    pids["vendor"] = vendor_pid
    watch = Watch()
    results: Calls = []
    for _ in range(ROUNDS_FOR_ONE if calls == 1 else 1):
        results += await watched(pids, platform, calls, watch)
    return _row(calls, results, watch)


def _row(calls: int, results: Calls, watch: Watch) -> Row:
    good = [result for result in results if result["fault"] is None]
    for result in results:
        if result["fault"] is not None:
            print("  fault:", result["fault"], file=sys.stderr)
    answers = [result["answer_ms"] for result in good]
    greetings = [result["greeting_ms"] for result in good]
    voices = [ms - 1000 * ENDPOINTING_S for result in good for ms in result["voice_to_voice_ms"]]
    pauses = [ms for result in good for ms in result["pause_ms"]]
    clicks = [survived for result in good for survived in result["clicks_survived"]]
    gaps = [gap for result in good for gap in result["gaps_ms"]]
    busy_s = sum(sum(result["gaps_ms"]) / 1000 for result in good) or 1.0
    return Row(
        calls=calls,
        failed=len(results) - len(good),
        answer_p50=_percentile(answers, 50),
        answer_p95=_percentile(answers, 95),
        greeting_p50=_percentile(greetings, 50),
        greeting_p95=_percentile(greetings, 95),
        voice_to_voice_p50=_percentile(voices, 50),
        voice_to_voice_p95=_percentile(voices, 95),
        pause_p50=_percentile(pauses, 50),
        pause_p95=_percentile(pauses, 95),
        clicks_survived=f"{sum(clicks)} of {len(clicks)}",
        spacing_p99=_percentile(gaps, 99),
        spacing_max=max(gaps, default=0.0),
        holes=sum(result["holes"] for result in good),
        lost=sum(result["lost"] for result in good),
        controller_cpu_per_call=round(100 * watch.cpu_s["controller"] / busy_s, 2),
        asterisk_cpu_per_call=round(100 * watch.cpu_s["asterisk"] / busy_s, 2),
        memory_per_call_kib=round(watch.grown_bytes / 1024 / calls, 1),
        vendor_cpu=round(100 * watch.cpu_s["vendor"] / watch.wall_s, 1),
        callers_cpu=round(100 * watch.cpu_s["callers"] / watch.wall_s, 1),
    )


def _percentile(values: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(values, percent)), 1) if values else float("nan")


def print_table(rows: Sequence[Row]) -> None:
    """Print one column per number of calls."""
    width = max(len(title) for title in TITLES.values())
    for name, title in TITLES.items():
        cells = "".join(f"{getattr(row, name)!s:>14}" for row in rows)
        print(f"{title:<{width}}{cells}")


async def measure(
    levels: Sequence[int], body: dict[str, Any]
) -> tuple[list[Row], list[list[Stage]]]:
    """Start everything, measure calls to an assistant of this body, stop everything."""
    rows, stages = [], []
    async with vendor() as (base_url, vendor_pid):
        env = {"OPENAI_API_KEY": "a-key-of-the-bench", "OPENAI_BASE_URL": base_url}
        env["SOVEREIGN_RTP_PORTS"] = "20000-21999"
        env["SOVEREIGN_RATE_LIMIT_PER_MINUTE"] = "100000"
        async with running_platform(env) as platform:
            async with platform.api() as api:
                made = (await api.create("/assistants", body))["assistant"]
                number = {"phone_number": NUMBER, "assistant_id": made["id"]}
                await api.create("/numbers", number)
                await callers(platform, 1)  # the first call of a process pays for its imports
                seen = len(await ended_calls(api, 0, 1))
                for calls in levels:
                    print(f"measuring {calls} at once ...", file=sys.stderr)
                    rows.append(await level(platform, vendor_pid, calls))
                    made_now = calls * (ROUNDS_FOR_ONE if calls == 1 else 1)
                    stages.append(await stages_of(api, await ended_calls(api, seen, made_now)))
                    seen += made_now
    return rows, stages


def main() -> None:
    """Measure the numbers of calls named on the command line, or the usual ones."""
    plain = "--plain" in sys.argv
    levels = [int(argument) for argument in sys.argv[1:] if argument != "--plain"] or LEVELS
    machine = f"{describe()}, load {os.getloadavg()[0]:.1f} before"
    rows, stages = asyncio.run(measure(levels, PLAIN if plain else EVERYTHING))
    print(f"\nCalls, on {machine}\n")
    print_table(rows)
    print_stages(levels, stages)
    RESULTS.mkdir(exist_ok=True)
    document = {
        "machine": machine,
        "rows": [asdict(row) for row in rows],
        "stages": [[asdict(stage) for stage in of_level] for of_level in stages],
    }
    name = "calls_latency_plain.json" if plain else "calls_latency.json"
    (RESULTS / name).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
