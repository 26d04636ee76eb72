"""One line of a diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """How good it is. Only `FAIL` means that something is broken."""

    OK = "OK"
    SLOW = "SLOW"
    POOR = "POOR"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Attributes:
        what: What was looked at.
        grade: How good it is.
        detail: What was found, with figures.
        remedy: What to do about it when it is not `OK`.
    """

    what: str
    grade: Grade
    detail: str
    remedy: str = ""
