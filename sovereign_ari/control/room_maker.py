"""Makes rooms and keeps them in files, for `python -m` with a folder and names like `city-8000`.

A process of its own, because the work holds the interpreter for ten milliseconds and more at a
time, which every call of a controller would hear.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from sovereign_ari.control.room_files import Room
from sovereign_ari.media.ambience_clips import clip_loop

POLITENESS = 19  # calls come first, and everything else


def make(folder: Path, room: Room) -> None:
    """Write a room, unless somebody has; waits while another process does."""
    file = room.file(folder)
    with (folder / f"{room}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if room.read(folder) is None:
            unfinished = file.with_suffix(".new")
            unfinished.write_bytes(clip_loop(room.clip, room.rate_hz))
            unfinished.replace(file)


if __name__ == "__main__":
    os.nice(POLITENESS)
    for name in sys.argv[2:]:
        make(Path(sys.argv[1]), Room.named(name))
