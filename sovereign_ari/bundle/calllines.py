"""One line per call on the terminal of `sovereign up`, from what the journal announces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable

import asyncpg

CHANNEL = "sovereign_calls"
_PAUSE_S = 2.0


def call_line(payload: str, clock: str) -> str | None:
    """Describe one announcement without the caller's number; None when it is not one.

    Args:
        payload: JSON with `call_id`, `status`, `dialled`, `assistant`, `duration_s`, `end_reason`.
        clock: Local time to begin the line with.
    """
    try:
        call = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(call, dict) or not call.get("call_id") or not call.get("status"):
        return None
    line = f"{clock}  {call['call_id']}  {call['status']:<11}"
    if call.get("dialled"):
        line += f"  to {call['dialled']}"
    if call.get("assistant"):
        line += f"  {call['assistant']}"
    if isinstance(call.get("duration_s"), int | float):
        line += f"  {call['duration_s']:.0f} s"
    if call.get("end_reason"):
        line += f"  ({call['end_reason']})"
    return line


async def follow_calls(database_url: str, say: Callable[[str], None]) -> None:
    """Print a line for every announcement until cancelled, across database restarts."""

    def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        line = call_line(str(payload), time.strftime("%H:%M:%S"))
        if line is not None:
            say(line)

    while True:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(database_url)
            gone = asyncio.Event()
            try:
                connection.add_termination_listener(lambda _connection, gone=gone: gone.set())
                await connection.add_listener(CHANNEL, heard)
                await gone.wait()
            finally:
                connection.terminate()
        await asyncio.sleep(_PAUSE_S)
