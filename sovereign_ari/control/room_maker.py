"""Makes one room and writes it to standard output, for `python -m` with a clip and a rate in Hz.

A process of its own, because the work holds the interpreter for ten milliseconds and more at a
time, which every call of a controller would hear.
"""

from __future__ import annotations

import os
import sys

from sovereign_ari.media.ambience_clips import clip_loop

POLITENESS = 10  # calls come first

if __name__ == "__main__":
    os.nice(POLITENESS)
    sys.stdout.buffer.write(clip_loop(sys.argv[1], int(sys.argv[2])))
