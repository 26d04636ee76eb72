"""The rooms that are heard behind assistants: each made once, when a call first asks for it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from sovereign_ari.domain.agent import Background
from sovereign_ari.media.ambience import Ambience
from sovereign_ari.media.ambience_clips import CLIPS, LOOP_FRAMES, LOOP_S
from sovereign_ari.wire.media_leg import MediaLeg

MADE_WITHIN_S = 30.0  # a second, on a machine that does nothing else
_MODULE = "sovereign_ari.control.room_maker"
_ROOT = Path(__file__).resolve().parents[2]

log = logging.getLogger(__name__)


class RoomNotMade(Exception):
    """The process that should have made a room did not; the message says how it ended."""


class Rooms:
    """All rooms of one process. Belongs to its event loop.

    Making one takes another process about a second; no call waits for it: the first to ask is
    answered meanwhile, and gets its room as soon as it is there.
    """

    def __init__(self) -> None:
        self._loops: dict[tuple[str, int], asyncio.Task[bytes]] = {}

    def furnish(self, leg: MediaLeg, background: Background | None, entropy: int) -> None:
        """Put the room that a configuration asks for behind a call.

        Args:
            leg: The audio of the call.
            background: None leaves the call without one.
            entropy: Random bits: two calls are not in the same place at the same time.
        """
        if background is None:
            return
        if background.clip not in CLIPS:
            log.warning("there is no background called %r", background.clip)
            return
        rate_hz = leg.audio.rate_hz
        making = self._making(background.clip, rate_hz)

        def furnish(made: asyncio.Task[bytes]) -> None:
            if not made.cancelled() and made.exception() is None:
                start_frame = entropy % LOOP_FRAMES
                leg.furnish(Ambience(made.result(), background.volume, leg.audio, start_frame))

        if making.done():
            furnish(making)
        else:
            making.add_done_callback(furnish)

    def _making(self, clip: str, rate_hz: int) -> asyncio.Task[bytes]:
        key = (clip, rate_hz)
        if key not in self._loops:
            work = _made_elsewhere(clip, rate_hz)
            self._loops[key] = asyncio.create_task(work, name=f"room {clip}")
            self._loops[key].add_done_callback(lambda made: self._made(key, made))
        return self._loops[key]

    def _made(self, key: tuple[str, int], made: asyncio.Task[bytes]) -> None:
        """Keep what was made; let the next call try again otherwise."""
        if made.cancelled() or made.exception() is not None:
            del self._loops[key]
        if not made.cancelled() and (fault := made.exception()) is not None:
            log.error("could not make a background", exc_info=fault)


async def _made_elsewhere(clip: str, rate_hz: int) -> bytes:
    """Have a process make a loop.

    Raises:
        RoomNotMade: If it ends without one.
        OSError: If it cannot be started.
    """
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", _MODULE, clip, str(rate_hz),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    try:
        async with asyncio.timeout(MADE_WITHIN_S):
            loop, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RoomNotMade(f"not within {MADE_WITHIN_S:g} s") from None
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode or len(loop) != 2 * LOOP_S * rate_hz:
        raise RoomNotMade(f"ended with {process.returncode} after {len(loop)} bytes")
    return loop
