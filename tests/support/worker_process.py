"""The worker as it is shipped: a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
STOPS_WITHIN_S = 30.0


@asynccontextmanager
async def worker_process(
    database_url: str, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `sovereign worker`; one that still runs when the block ends is killed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sovereign_ari", "worker",
        cwd=folder,
        env={
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "DATABASE_URL": database_url,
            "SOVEREIGN_DATA_DIR": str(folder),
            "SOVEREIGN_OUTGOING_ALLOW": "127.0.0.0/8",
        },
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def stopped(process: asyncio.subprocess.Process) -> int:
    """Ask a worker to end, and give its exit code."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(STOPS_WITHIN_S):
        return await process.wait()
