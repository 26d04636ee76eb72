"""How a call of our telephone can end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


class CallRejected(Exception):
    """The far end did not take the call.

    Args:
        status: Final SIP status; 408 also when nobody answered at all.
        reason: Its text, and the Reason header if there was one.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call ended.

    Attributes:
        by: Who hung up.
        reason: Reason header of the BYE, if it had one.
        at_s: When.
    """

    by: Literal["us", "far end"]
    reason: str | None
    at_s: float

    @property
    def cause(self) -> int | None:
        """Q.850 cause in the Reason header."""
        match = re.search(r"cause=(\d+)", self.reason or "")
        return int(match[1]) if match else None
