"""The tool that puts the caller through to somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sovereign_ari.conversation.terms import Destination, Transfers
from sovereign_ari.conversation.tools import Prepared, ToolAnswer, failure
from sovereign_ari.speech.base import ToolSpec
from sovereign_ari.tools.arguments import Arguments

NAME = "transfer_call"
DEFAULT_TIMEOUT_S = 30.0
CALLING = (
    "They are being called now, and the caller hears it when they take the call. Go on talking."
)
_DESCRIPTION = "Put the caller through to somebody else, when the caller wants that or needs it."


@dataclass(frozen=True, slots=True)
class TransferTool:
    """The destinations of one stored tool.

    Attributes:
        spec: How it is offered.
        takes: What it takes.
        destinations: By the word that the model chooses them with, with the line to be said first.
        transfers: Does it.
    """

    spec: ToolSpec
    takes: Arguments
    destinations: Mapping[str, tuple[Destination, str | None]]
    transfers: Transfers

    def prepared(self, call_id: str, arguments: Mapping[str, Any]) -> Prepared:
        """See `Tool`. Fillers are not said: the caller may hear it ring."""
        destination, line = self.destinations[arguments["destination"]]

        async def run() -> ToolAnswer:
            outcome = await self.transfers.transfer(destination)
            if outcome.transferred:
                return ToolAnswer({"success": True}, final=True)
            if outcome.pending:
                return ToolAnswer({"success": True, "status": CALLING})
            return failure(f"the transfer failed: {outcome.reason}")

        return Prepared(run, line, may_fill=False)


def read_transfer_tool(stored: Mapping[str, Any], name: str, transfers: Transfers) -> TransferTool:
    """Read a stored tool.

    Args:
        stored: It.
        name: To offer it under.
        transfers: Does it.
    """
    chosen: dict[str, tuple[Destination, str | None]] = {}
    described: list[str] = []
    for item in stored.get("destinations") or ():
        number = item["number"]
        word = next(w for w in _words(number) if w not in chosen)
        destination = Destination(
            kind=item.get("type", "number"),
            number=number,
            mode=item.get("mode", "blind"),
            timeout_s=float(item.get("timeout_seconds", DEFAULT_TIMEOUT_S)),
            caller_id=item.get("caller_id"),
            hold=item.get("hold", "music"),
        )
        chosen[word] = (destination, item.get("message"))
        described.append(f"{word}: {item.get('description') or 'no description'}")
    takes = Arguments(
        {
            "properties": {
                "destination": {
                    "type": "string",
                    "enum": list(chosen),
                    "description": "Where to. " + "; ".join(described),
                }
            },
            "required": ["destination"],
            "additionalProperties": False,
        }
    )
    return TransferTool(ToolSpec(name, _DESCRIPTION, takes.schema), takes, chosen, transfers)


def _words(number: str) -> list[str]:
    """Ways to name a destination: by its number, or with a count when that stands there twice."""
    return [number, *(f"{number} ({n})" for n in range(2, 60))]
