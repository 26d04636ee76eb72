"""What a client of the API may tell a live call. A command is carried out once, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias

from sovereign_ari.domain.ids import CallId


@dataclass(frozen=True, slots=True)
class Say:
    """Say this to the caller.

    Attributes:
        content: The words. *Personal.*
        end_after: Whether the call ends once they were heard.
    """

    type: ClassVar[str] = "say"
    content: str
    end_after: bool


@dataclass(frozen=True, slots=True)
class InjectContext:
    """Tell the model something that the caller does not hear.

    Attributes:
        content: What it should know. *Personal.*
        trigger_response: Whether the assistant speaks at once.
    """

    type: ClassVar[str] = "inject-context"
    content: str
    trigger_response: bool


@dataclass(frozen=True, slots=True)
class EndCall:
    """End the call, after these last words if there are any. They are *personal*."""

    type: ClassVar[str] = "end-call"
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Put the caller through to somebody else.

    Attributes:
        destination: A number in E.164, an extension, or a SIP URI. *Personal.*
        message: What is said before. *Personal.*
        mode: How.
        timeout_s: How long to let it ring.
        caller_id: The number to show there, None for the usual one.
        hold: What the caller has until somebody takes the call.
    """

    type: ClassVar[str] = "transfer"
    destination: str
    message: str | None = None
    mode: Literal["blind", "refer", "warm"] = "blind"
    timeout_s: float = 30.0
    caller_id: str | None = None
    hold: Literal["music", "assistant"] = "music"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up a call that we place and that nobody has answered."""

    type: ClassVar[str] = "cancel"


DialogueCommand: TypeAlias = Say | InjectContext | EndCall
"""What the conversation does itself."""

ControlCommand: TypeAlias = DialogueCommand | Transfer | Cancel


class CommandOutcome(StrEnum):
    """What a controller answers to a command."""

    DONE = "done"
    NOT_ACTIVE = "not-active"
    NOT_UNDERSTOOD = "not-understood"  # written by another release
    TRANSFER_UNDER_WAY = "transfer-under-way"


@dataclass(frozen=True, slots=True)
class TakenCommand:
    """A command that this controller took, and nobody else will.

    Attributes:
        id: Later ones of a call are greater.
        call_id: The call.
        command: What to do, None when it is not understood.
    """

    id: int
    call_id: CallId
    command: ControlCommand | None


_KINDS: Mapping[str, type[ControlCommand]] = {
    kind.type: kind for kind in (Say, InjectContext, EndCall, Transfer, Cancel)
}


def write_command(command: ControlCommand) -> dict[str, Any]:
    """Write a command as JSON, for `read_command`."""
    return {"type": command.type, **asdict(command)}


def read_command(written: Mapping[str, Any]) -> ControlCommand | None:
    """Read what `write_command` of this or another release wrote; None for what it cannot be."""
    fields = dict(written)
    kind = _KINDS.get(str(fields.pop("type", None)))
    try:
        return None if kind is None else kind(**fields)
    except TypeError:
        return None
