"""The event loop's thread comes first, and what it starts does not."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import os, subprocess, threading
from sovereign_ari.precedence import NICE, come_first

def nice():
    return os.getpriority(os.PRIO_PROCESS, 0)

before = nice()
come_first()
assert nice() in (NICE, before), nice()
told = []
thread = threading.Thread(target=lambda: told.append(nice()))
thread.start()
thread.join()
child = subprocess.run(["nice"], capture_output=True, text=True, check=True)
expected = 0 if nice() < 0 else before
assert told == [expected], told
assert int(child.stdout) == expected, child.stdout
print(nice())
"""


def test_what_the_thread_that_comes_first_starts_has_the_usual_priority() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
