"""What became of the calls, by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.soak.excuses import Happening

SHOWN = 20


@dataclass
class Tally:
    """Counts.

    Attributes:
        begun: So many calls.
        well: Calls that went well, by kind.
        excused: Calls that went wrong by a fault, by kind and fault.
        wrong: Kinds of those that went wrong without one.
        faults: What happened to those.
        forgiven: What happened to the latest excused ones, and their excuse.
    """

    begun: int = 0
    well: Counter[str] = field(default_factory=Counter)
    excused: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def went_well(self, kind: str) -> None:
        """Count a call that did what it should."""
        self.well[kind] += 1

    def went_wrong(self, kind: str, what: str, by: Happening | None) -> None:
        """Count a call that did not."""
        if by is not None:
            self.excused[kind, by.name] += 1
            self.forgiven.append(f"call {self.begun}, {kind}, by {by.name}: {what}")
            del self.forgiven[:-SHOWN]
        else:
            self.wrong[kind] += 1
            self.faults.append(f"call {self.begun}, {kind}: {what}")

    def table(self) -> Iterator[str]:
        """Write calls by kind and outcome, and what excused those that went wrong."""
        by_kind: Counter[str] = Counter()
        by_fault: Counter[str] = Counter()
        for (kind, fault), count in self.excused.items():
            by_kind[kind] += count
            by_fault[fault] += count
        yield f"{'kind of call':70} {'well':>6} {'excused':>8} {'wrong':>6}"
        for kind in sorted({*self.well, *by_kind, *self.wrong}):
            yield f"{kind:70} {self.well[kind]:6} {by_kind[kind]:8} {self.wrong[kind]:6}"
        all_of_them = (self.well.total(), by_fault.total(), self.wrong.total())
        yield "{:70} {:6} {:8} {:6}".format("all", *all_of_them)
        if by_fault:
            yield f"\n{'excused by':70} {'calls':>6}"
            yield from (f"{fault:70} {count:6}" for fault, count in by_fault.most_common())
        yield from (f"WRONG: {fault}" for fault in self.faults[:SHOWN])
