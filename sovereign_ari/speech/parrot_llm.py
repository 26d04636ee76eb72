"""A deterministic language model: follows a script, and repeats what it heard.

For demonstrations and tests. It is pure but for yielding: the same messages give the same reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolCall, ToolSpec, Usage
from sovereign_ari.speech.resilience.seam import GO_ON

_HEARD_CHARS = 300
"""What is matched of an utterance: bounds the time that a script's patterns can take."""

_SILENT_CALLER = "The caller has said nothing"
"""How instructions for a silent caller begin. It follows none: the platform has its own words."""

_NOTHING_HEARD = "Sorry, I did not hear you. Could you say that again?"
_PLACE = re.compile(r"\$([1-9]|previous\b)")
_WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    say: str
    tool: str | None
    arguments: str
    once: bool


class ParrotLanguageModel:
    """One script.

    Args:
        script: Rules `{match, say?, tool?: {name, arguments?}, once?}`; the first whose `match`
            is found in what the caller said last, in any case, gives the answer. `once` rules
            count in one conversation at most one time. In `say`, `$1` to `$9` stand for the
            groups of `match`, `$previous` for what was said before.
    """

    def __init__(self, script: Sequence[Mapping[str, Any]] = ()) -> None:
        self._rules = [_rule(entry) for entry in script]

    @property
    def label(self) -> str:
        """Always `parrot/parrot-1`."""
        return "parrot/parrot-1"

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """Answer the last message word by word; a tool is called whether it is offered or not.

        After a tool's result the result is spoken, unless words went with the call already.
        """
        text, call = self._answer(messages)
        words = _WORD.findall(text)
        for word in words:
            yield Token(word)
        if call is not None:
            yield call
        heard = sum(len(message.content.split()) for message in messages)
        yield Usage(heard, len(words))

    def _answer(self, messages: Sequence[Message]) -> tuple[str, ToolCall | None]:
        last = messages[-1] if messages else None
        if last is not None and last.role == "tool":
            called = next((m for m in reversed(messages) if m.role == "assistant"), None)
            spoken = called is not None and called.content.strip()
            return ("" if spoken else _result(last.content)), None
        if last is not None and last.role == "system" and last.content.startswith(_SILENT_CALLER):
            return "", None
        turns = [m.content[:_HEARD_CHARS] for m in messages if m.role == "user"]
        if not turns or not turns[-1].strip():
            return _NOTHING_HEARD, None
        found = self._find(turns)
        if found is None and turns[-1] == GO_ON:
            return "", None  # it has no way of going on with the words of another
        if found is None:
            return f"You said: {turns[-1].strip()}", None
        rule, match = found
        before = next((m.content for m in reversed(messages) if m.role == "assistant"), "")
        text = _PLACE.sub(lambda place: _filled(place[1], match, before), rule.say)
        if rule.tool is None:
            return text, None
        return text, ToolCall(f"call_{len(messages)}", rule.tool, rule.arguments)

    def _find(self, turns: Sequence[str]) -> tuple[_Rule, re.Match[str]] | None:
        """Find the rule for the last turn; `once` rules spent on earlier turns are passed over."""
        spent: set[int] = set()
        if any(rule.once for rule in self._rules):
            for turn in turns[:-1]:
                if (found := self._first(turn, spent)) is not None:
                    spent.add(found[0])
        found = self._first(turns[-1], spent)
        return None if found is None else (self._rules[found[0]], found[1])

    def _first(self, turn: str, spent: set[int]) -> tuple[int, re.Match[str]] | None:
        for index, rule in enumerate(self._rules):
            if rule.once and index in spent:
                continue
            if (match := rule.pattern.search(turn)) is not None:
                return index, match
        return None


def _rule(entry: Mapping[str, Any]) -> _Rule:
    tool: Mapping[str, Any] = entry.get("tool") or {}
    return _Rule(
        pattern=re.compile(entry["match"], re.IGNORECASE),
        say=entry.get("say", ""),
        tool=tool.get("name"),
        arguments=json.dumps(tool.get("arguments", {})),
        once=bool(entry.get("once", False)),
    )


def _filled(place: str, match: re.Match[str], before: str) -> str:
    if place == "previous":
        return before
    number = int(place)
    return (match[number] or "") if number <= match.re.groups else ""


def _result(content: str) -> str:
    """Take what can be spoken out of a tool's result: a text, or its `result` or `message`."""
    try:
        value = json.loads(content)
    except ValueError:
        return content.strip()
    if isinstance(value, Mapping):
        value = value.get("result", value.get("message", ""))
    return value.strip() if isinstance(value, str) else ""
