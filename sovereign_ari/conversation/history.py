"""What the model is told of the conversation so far: what was said, as it was heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sovereign_ari.conversation.thinking import Thought
from sovereign_ari.conversation.tool_results import LOST, fenced
from sovereign_ari.domain.adoption import Past
from sovereign_ari.speech.base import Message, ToolCall


class History:
    """The messages of one conversation.

    Args:
        stored: Those that the assistant begins with, as stored.

    Attributes:
        messages: All of them, to be read.
    """

    def __init__(self, stored: Sequence[Mapping[str, Any]]) -> None:
        self.messages = [Message(message["role"], message["content"]) for message in stored]

    def remember(self, past: Past) -> None:
        """Keep what was said while another controller had the call."""
        for turn in past.turns:
            if turn.user_text:
                self.add_user(turn.user_text)
            for call in turn.tool_calls:
                self.messages.extend(_used(call))
            if turn.heard_text:
                self.messages.append(Message("assistant", turn.heard_text))

    def add_user(self, text: str) -> None:
        """Keep what the caller said."""
        self.messages.append(Message("user", text))

    def add_context(self, text: str) -> None:
        """Keep what a client of the API told the assistant."""
        self.messages.append(Message("system", text))

    def add_reply(self, thought: Thought, heard: str) -> None:
        """Keep a reply, finished or cut: its tools, and what was heard of it."""
        self.messages.extend(thought.for_history())
        if heard:
            self.messages.append(Message("assistant", heard))

    def set_result(self, result: Message) -> None:
        """Put the result of a tool where it was missing when its reply was cut."""
        for number, message in enumerate(self.messages):
            if message.role == "tool" and message.tool_call_id == result.tool_call_id:
                self.messages[number] = result


def _used(call: Mapping[str, Any]) -> tuple[Message, Message]:
    """A tool that was called, from its record, and its result if that had come."""
    written = ToolCall(str(call["id"]), str(call["name"]), str(call["arguments"]))
    result = call.get("result")
    if result is None:
        content = LOST
    else:
        content = fenced(str(result), int(call.get("result_chars") or len(str(result))))
    return (
        Message("assistant", "", tool_calls=(written,)),
        Message("tool", content, tool_call_id=written.id),
    )
