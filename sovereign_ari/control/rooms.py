"""The rooms that are heard behind assistants: made once on a machine, read when a call asks."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sovereign_ari.control.room_files import ROOMS, Room
from sovereign_ari.domain.agent import Background
from sovereign_ari.media.ambience import Ambience
from sovereign_ari.media.ambience_clips import CLIPS, LOOP_FRAMES
from sovereign_ari.wire.media_leg import MediaLeg

MADE_WITHIN_S = 60.0  # a second for each, on a machine that does nothing else
_MODULE = "sovereign_ari.control.room_maker"
_ROOT = Path(__file__).resolve().parents[2]

log = logging.getLogger(__name__)


class RoomNotMade(Exception):
    """The process that should have made a room did not; the message says how it ended."""


class Rooms:
    """All rooms of one process. Belongs to its event loop.

    Making one takes another process about a second; no call waits for it. One that asks for a
    room that is not there yet is answered meanwhile, and gets it as soon as it is.

    Args:
        folders: Where rooms are kept: the first of these that can be written to. Without any they
            are made again by the next process.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._folder: Path | None = None
        self._loops: dict[Room, asyncio.Task[bytes]] = {}

    async def prepare(self) -> None:
        """Make those that this machine has not, one after the other, behind everything else."""
        try:
            missing = await asyncio.to_thread(self._missing)
            if missing:
                await _make(self._kept_in(), missing)
                log.info("made %d backgrounds", len(missing))
        except (RoomNotMade, OSError):
            log.exception("could not make the backgrounds: calls that want one will try again")

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
        coming = self._coming(Room(background.clip, leg.audio.rate_hz))

        def furnish(come: asyncio.Task[bytes]) -> None:
            if not come.cancelled() and come.exception() is None:
                start_frame = entropy % LOOP_FRAMES
                leg.furnish(Ambience(come.result(), background.volume, leg.audio, start_frame))

        if coming.done():
            furnish(coming)
        else:
            coming.add_done_callback(furnish)

    def _coming(self, room: Room) -> asyncio.Task[bytes]:
        if room not in self._loops:
            self._loops[room] = asyncio.create_task(self._fetch(room), name=f"room {room}")
            self._loops[room].add_done_callback(lambda come: self._come(room, come))
        return self._loops[room]

    def _come(self, room: Room, come: asyncio.Task[bytes]) -> None:
        """Keep it; let the next call try again otherwise."""
        if come.cancelled() or come.exception() is not None:
            del self._loops[room]
        if not come.cancelled() and (fault := come.exception()) is not None:
            log.error("could not make a background", exc_info=fault)

    async def _fetch(self, room: Room) -> bytes:
        """Read a room, and have it made before where it is not there.

        Raises:
            RoomNotMade: If it cannot be made.
            OSError: If it cannot be read, or nothing can be started that would make it.
        """
        loop = await asyncio.to_thread(lambda: room.read(self._kept_in()))
        if loop is None:
            await _make(self._kept_in(), [room])
            loop = await asyncio.to_thread(lambda: room.read(self._kept_in()))
        if loop is None:
            raise RoomNotMade(f"the file of {room} is not whole")
        return loop

    def _missing(self) -> list[Room]:
        folder = self._kept_in()
        return [room for room in ROOMS if not room.file(folder).is_file()]

    def _kept_in(self) -> Path:
        if self._folder is None:
            self._folder = next(filter(_is_writable, self._folders), None)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="sovereign-rooms-"))
        return self._folder


def _is_writable(folder: Path) -> bool:
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK | os.X_OK)


async def _make(folder: Path, rooms: Sequence[Room]) -> None:
    """Have a process make rooms; another one that is at it is waited for.

    Raises:
        RoomNotMade: If it ends without one.
        OSError: If it cannot be started.
    """
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", _MODULE, str(folder), *map(str, rooms),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    try:
        async with asyncio.timeout(MADE_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise RoomNotMade(f"not within {MADE_WITHIN_S:g} s") from None
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        raise RoomNotMade(f"ended with {process.returncode}")
