"""The tools of an agent exported from Retell. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sovereign_ari.importers.source import Source

_TRANSFER = (
    "type", "name", "tool_id", "description", "transfer_destination", "number", "transfer_option",
)  # fmt: skip
# The model always speaks after a tool here, so `speak_after_execution` loses nothing.
_CUSTOM = (
    "type", "name", "tool_id", "description", "url", "method", "parameters",
    "speak_during_execution", "execution_message_description", "speak_after_execution",
)  # fmt: skip
_LISTS = ("retellLlmData.general_tools", "conversationFlow.tools")


def read_tools(source: Source) -> list[dict[str, Any]]:
    """All tools that we have too, in our form; the others are noted."""
    return [tool for where in _LISTS for tool in _of(source, where)]


def _of(source: Source, where: str) -> Iterator[dict[str, Any]]:
    for index, tool in enumerate(source.take(where, list) or ()):
        path = f"{where}.{index}"
        match tool:
            case {"type": "end_call"}:
                yield {"type": "end_call"}
            case {"type": "transfer_call", "transfer_destination": {"number": str(number)}}:
                yield _transfer(tool, number, source, path)
            case {"type": "transfer_call", "number": str(number)}:
                yield _transfer(tool, number, source, path)
            case {"type": "custom", "name": str(), "url": str()}:
                yield _custom(tool, source, path)
            case {"type": kind}:
                source.note(path, f"tools of the type {kind} have no counterpart")
            case _:
                source.note(path, "is not a tool")


def _transfer(tool: Mapping[str, Any], number: str, source: Source, path: str) -> dict[str, Any]:
    description = tool.get("description") or "The caller asks to be transferred."
    destination: dict[str, Any] = {
        "type": "sip" if number.startswith(("sip:", "sips:")) else "number",
        "number": number,
        "description": description,
    }
    option = tool.get("transfer_option")
    if isinstance(option, dict) and option.get("type") == "warm_transfer":
        destination["mode"] = "warm"
    if isinstance(option, dict):
        source.note_rest(f"{path}.transfer_option", option, ("type",))
    source.note_rest(path, tool, _TRANSFER)
    return {"type": "transfer_call", "destinations": [destination]}


def _custom(tool: Mapping[str, Any], source: Source, path: str) -> dict[str, Any]:
    ours: dict[str, Any] = {
        "name": tool["name"],
        "description": tool.get("description") or tool["name"],
        "url": tool["url"],
    }
    if isinstance(parameters := tool.get("parameters"), dict):
        ours["parameters"] = parameters
    spoken = tool.get("execution_message_description")
    if tool.get("speak_during_execution") and isinstance(spoken, str) and spoken:
        ours["message"] = spoken
    source.note_rest(path, tool, _CUSTOM)
    if tool.get("method", "POST") != "POST":
        source.note(f"{path}.method", "tools are sent as POST here")
    return ours
