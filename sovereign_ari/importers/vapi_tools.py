"""The tools of an assistant exported from Vapi. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sovereign_ari.importers.source import Source

_FUNCTION = ("name", "description", "parameters")
_WORDS = ("description", "message")


def read_tools(source: Source) -> list[dict[str, Any]]:
    """All tools that we have too, in our form; the others are noted."""
    tools = list(_current(source))
    tools += [
        _flat(function, function.get("serverUrl"))
        for function in source.take("model.functions", list) or ()
        if isinstance(function, dict) and function.get("name")
    ]
    if source.take("endCallFunctionEnabled", bool) and {"type": "end_call"} not in tools:
        tools.append({"type": "end_call"})
    number = source.text("forwardingPhoneNumber", 16)
    if number is not None:
        reason = "The caller wants to speak to a person."
        destination = {"type": "number", "number": number, "description": reason}
        tools.append({"type": "transfer_call", "destinations": [destination]})
    return tools


def _current(source: Source) -> Iterator[dict[str, Any]]:
    for index, tool in enumerate(source.take("model.tools", list) or ()):
        path = f"model.tools.{index}"
        match tool:
            case {"type": "function", "function": {"name": str()}}:
                yield _function(tool, source, path)
            case {"type": "endCall"}:
                yield {"type": "end_call"}
            case {"type": "transferCall", "destinations": list(destinations)}:
                yield from _transfer(destinations, source, path)
            case {"type": kind}:
                source.note(path, f"tools of the type {kind} have no counterpart")
            case _:
                source.note(path, "is not a tool")


def _function(tool: Mapping[str, Any], source: Source, path: str) -> dict[str, Any]:
    given = tool.get("server")
    server = given if isinstance(given, dict) else {}
    flat = _flat(tool["function"], server.get("url"))
    if "url" in flat and isinstance(secret := server.get("secret"), str) and secret:
        flat["server"] = {"url": flat.pop("url"), "secret": secret}
    source.note_rest(path, tool, ("type", "function", "server", "async", "messages"))
    source.note_rest(f"{path}.function", tool["function"], _FUNCTION)
    source.note_rest(f"{path}.server", server, ("url", "secret"))
    if tool.get("async"):
        flat["async"] = True
    spoken = [
        message["content"]
        for message in tool.get("messages") or ()
        if isinstance(message, dict)
        and message.get("type") == "request-start"
        and isinstance(message.get("content"), str)
    ]
    if spoken:
        flat["message"] = spoken[0]
    if len(tool.get("messages") or ()) > len(spoken[:1]):
        source.note(f"{path}.messages", "only the first message at the start is carried over")
    return flat


def _flat(function: Mapping[str, Any], url: Any) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "name": function["name"],
        "description": function.get("description") or function["name"],
    }
    if isinstance(parameters := function.get("parameters"), dict):
        flat["parameters"] = parameters
    if isinstance(url, str) and url:
        flat["url"] = url
    return flat


def _transfer(destinations: list[Any], source: Source, path: str) -> Iterator[dict[str, Any]]:
    ours = []
    for index, destination in enumerate(destinations):
        where = f"{path}.destinations.{index}"
        match destination:
            case {"type": "number", "number": str(number)}:
                ours.append({"type": "number", "number": number, **_words(destination)})
                source.note_rest(where, destination, ("type", "number", *_WORDS))
            case {"type": "sip", "sipUri": str(uri)}:
                ours.append({"type": "sip", "number": uri, **_words(destination)})
                source.note_rest(where, destination, ("type", "sipUri", *_WORDS))
            case _:
                source.note(where, "is neither a number nor a SIP URI")
    if ours:
        yield {"type": "transfer_call", "destinations": ours}


def _words(destination: Mapping[str, Any]) -> dict[str, str]:
    description = destination.get("description") or "The caller asks to be transferred."
    message = destination.get("message")
    return {
        "description": str(description),
        **({"message": message} if isinstance(message, str) and message else {}),
    }
