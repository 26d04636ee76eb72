"""`make bench`: every bench, one after the other, each in a process of its own.

`python -m tests.bench api` runs those whose names begin so.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NO_BENCHES = {
    "__init__",
    "__main__",
    "api_world",
    "calls_caller",
    "calls_stages",
    "calls_vendor",
    "machine",
    "turns_detectors",
    "turns_figures",
    "turns_pbx",
    "turns_scene",
    "voicemail_pbx",
    "voicemail_scene",
}


def main() -> int:
    """Run them all, or those named; the exit code is 1 when one failed."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NO_BENCHES)
    failed = []
    for name in (name for name in names if name.startswith(tuple(sys.argv[1:]) or "")):
        print(f"== {name}", flush=True)
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", f"tests.bench.{name}"]
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    for written in sorted((HERE / "results").glob("*.json")):
        print(f"written: {written}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
