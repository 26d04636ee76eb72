"""The event loop of live calls comes before what can wait: databases, webhooks, other programs."""

from __future__ import annotations

import logging
import os
import sys

NICE = -10
SWITCH_INTERVAL_S = 0.0002  # how long the pacer's thread may wait for the interpreter

log = logging.getLogger(__name__)


def come_first() -> None:
    """Put the calling thread before others, where that is permitted; its children stay behind.

    An event loop that waits for a core has every caller wait.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        log.info("no permission to come before other programs: calls may lag under load")
        return
    # Programs and threads that it starts have the usual priority again (sched(7)).
    os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
