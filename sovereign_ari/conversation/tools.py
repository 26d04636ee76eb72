"""The tools that a model may call, and what running one answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sovereign_ari.speech.base import ToolCall, ToolSpec

END_CALL = ToolSpec(
    name="end_call",
    description="Hang up. Use it when the caller has said goodbye or wants to end the call.",
    parameters={"type": "object", "properties": {}},
)

_BUILT_IN = {"end_call": END_CALL, "endCall": END_CALL}


def offered(tools: Sequence[Mapping[str, Any]]) -> list[ToolSpec]:
    """Choose, of an assistant's stored tools, those that this release can run."""
    specs = {spec.name: spec for tool in tools if (spec := _BUILT_IN.get(str(tool.get("type"))))}
    return list(specs.values())


def wants_to_hang_up(call: ToolCall) -> bool:
    """Whether this call ends the conversation."""
    return call.name == END_CALL.name


def result_of(call: ToolCall, tools: Sequence[ToolSpec]) -> str:
    """Run a tool that answers at once, and return its result as JSON for the model."""
    if call.name not in {tool.name for tool in tools}:
        return json.dumps({"error": f"there is no tool named {call.name[:64]}"})
    return json.dumps({"success": True})
