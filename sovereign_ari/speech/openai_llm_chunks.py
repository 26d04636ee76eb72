"""What the chunks of a streamed chat completion mean. Pure: events in, parts of a reply out."""

from __future__ import annotations

import json
from typing import Any

from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.base import ReplyPart, Token, ToolCall, Usage
from sovereign_ari.speech.vendor_errors import error_in_stream


class ReplyChunks:
    """Puts one reply together.

    Servers that only resemble the vendor's leave fields out, or send null, where the vendor does
    not: what is absent or of another type means nothing; what is not a JSON object is an error.

    Attributes:
        finished: Whether the model has come to an end; without it the stream broke off.
        done: Whether the server said that nothing more comes.
        usage: The last count; some servers send one with every chunk.
    """

    def __init__(self, what: str = "openai chat") -> None:
        self.what = what
        self.finished = False
        self.done = False
        self.usage: Usage | None = None
        self._calls: dict[int, list[str]] = {}  # by index: id, name, arguments so far

    def on_event(self, data: str) -> list[ReplyPart]:
        """Take the data of one event.

        Raises:
            ProviderUnavailable: When it is not a chunk, or reports an error.
        """
        if data.startswith("[DONE]"):
            self.done = True
            return []
        chunk = _chunk_of(self.what, data)
        if chunk.get("error"):
            raise error_in_stream(self.what, chunk)
        if usage := _mapping(chunk.get("usage")):
            counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
            self.usage = Usage(*(count if isinstance(count, int) else 0 for count in counts))
        choices = _entries(chunk.get("choices"))
        return self._on_choice(choices[0]) if choices else []

    def _on_choice(self, choice: dict[str, Any]) -> list[ReplyPart]:
        parts: list[ReplyPart] = []
        delta = _mapping(choice.get("delta"))
        if text := _text(delta.get("content")):
            parts.append(Token(text))
        for call in _entries(delta.get("tool_calls")):
            self._on_call(call)
        if choice.get("finish_reason") and not self.finished:
            self.finished = True
            parts += self._complete_calls()
        return parts

    def _on_call(self, delta: dict[str, Any]) -> None:
        """Calls come in pieces and interleaved; without an index, an id begins the next one."""
        index = delta.get("index")
        if not isinstance(index, int):
            index = max(self._calls, default=-1)
            index = index + 1 if delta.get("id") or index < 0 else index
        call = self._calls.setdefault(index, ["", "", ""])
        function = _mapping(delta.get("function"))
        call[0] = call[0] or _text(delta.get("id"))
        call[1] += _text(function.get("name"))
        call[2] += _text(function.get("arguments"))

    def _complete_calls(self) -> list[ToolCall]:
        return [
            ToolCall(call_id or f"call_{index}", name, arguments or "{}")
            for index, (call_id, name, arguments) in sorted(self._calls.items())
            if name
        ]


def _chunk_of(what: str, data: str) -> dict[str, Any]:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderUnavailable(f"{what} sent what is not JSON") from error
    if not isinstance(chunk, dict):
        raise ProviderUnavailable(f"{what} sent what is not a chunk")
    return chunk


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _entries(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
