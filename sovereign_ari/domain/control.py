"""What a client of the API may tell a live call. A command is carried out once, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

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


ControlCommand: TypeAlias = Say | InjectContext | EndCall


class CommandOutcome(StrEnum):
    """What a controller answers to a command."""

    DONE = "done"
    NOT_ACTIVE = "not-active"
    NOT_UNDERSTOOD = "not-understood"  # written by another release


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
    kind.type: kind for kind in (Say, InjectContext, EndCall)
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
