"""A call whose controller died, as another one finds it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.ids import CallId


@dataclass(frozen=True, slots=True)
class PastTurn:
    """One exchange, as far as the dead controller wrote it down. Texts are *personal*.

    Attributes:
        user_text: The caller's words, None where the assistant spoke on its own.
        heard_text: What left the PBX of the reply.
        tool_calls: As `TurnRecord` has them.
        finished: Whether the reply came to an end, cut or not.
    """

    user_text: str | None
    heard_text: str
    tool_calls: Sequence[Mapping[str, Any]] = ()
    finished: bool = True


@dataclass(frozen=True, slots=True)
class BrokenTransfer:
    """A transfer that was under way when its controller died; whoever was called is hung up.

    Attributes:
        mode: `blind`, `refer` or `warm`.
        destination: *Personal.*
    """

    mode: str
    destination: str = field(repr=False)


OVER = ("failed", "joined", "referred")
"""Steps of a transfer after which it is not under way any more."""


def broken_transfer(steps: Sequence[Mapping[str, Any]]) -> BrokenTransfer | None:
    """Find the transfer that was under way, in what the timeline says of transfers, in order."""
    found: BrokenTransfer | None = None
    for detail in steps:
        if detail.get("step") == "begun":
            found = BrokenTransfer(str(detail.get("mode")), str(detail.get("destination")))
        elif detail.get("step") in OVER:
            found = None
    return found


@dataclass(frozen=True, slots=True)
class Past:
    """What a conversation has behind it.

    Attributes:
        turns: In their order.
        next_number: That the next turn gets.
        answered_at: Wall clock, the origin of the offsets of turns.
        transfer: What was broken off.
    """

    turns: tuple[PastTurn, ...]
    next_number: int
    answered_at: datetime
    transfer: BrokenTransfer | None = None

    @property
    def began(self) -> bool:
        """Whether anybody has said anything yet, as far as it is known."""
        return any(turn.user_text or turn.heard_text for turn in self.turns)

    @property
    def owes_answer(self) -> bool:
        """Whether the caller's last words have no answer yet, or hardly any of it was heard."""
        last = self.turns[-1] if self.turns else None
        return last is not None and bool(last.user_text) and not last.finished


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call that is ours now.

    Attributes:
        call_id: Its id.
        ours: Our number.
        theirs: The caller's, or of the person whom we called; None when withheld. *Personal.*
        codec: RTP codec between the PBX and us.
        route: Whose number it is, and the assistant that talks.
        past: What was said.
        last_seen_at: When its controller was last seen alive, None when nobody knows.
    """

    call_id: CallId
    ours: str
    theirs: str | None = field(repr=False)
    codec: str
    route: Route
    past: Past = field(repr=False)
    last_seen_at: datetime | None


class NotAdopted(Enum):
    """Why a call is not adopted."""

    LATER = "its controller seems to live"
    NEVER = "it is over, or unknown, or nobody knows any more on what it ran"
