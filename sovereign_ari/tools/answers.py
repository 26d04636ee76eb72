"""What an integrator's server answers to `tool-calls`. Pure.

It may be `{"results": [{"tool_call_id", "result"}]}`, `{"result": ...}`, the data itself, or
`{"error": "..."}`.
"""

from __future__ import annotations

import json
from typing import Any

from sovereign_ari.conversation.tools import ToolAnswer, failure

_MOST_QUOTED_CHARS = 1000
_NO_CONTENT = 204
_IDS = ("tool_call_id", "toolCallId")


def read_answer(status: int, body: bytes, call_id: str) -> ToolAnswer:
    """Say what an answer means for one call. Whatever it is, the model can go on."""
    if not 200 <= status < 300:
        what = "redirected, which is not followed" if 300 <= status < 400 else "failed"
        return failure(f"the server of the tool {what} (HTTP {status})")
    if status == _NO_CONTENT:
        return ToolAnswer({"success": True})
    try:
        answer = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return failure("the server of the tool did not answer in JSON")
    return _meaning(answer, call_id)


def _meaning(answer: Any, call_id: str) -> ToolAnswer:
    if not isinstance(answer, dict):
        return ToolAnswer(answer)
    results = answer.get("results")
    if isinstance(results, list) and results and all(_is_result(each) for each in results):
        return _own(results, call_id)
    return _unwrapped(answer)


def _is_result(entry: Any) -> bool:
    return isinstance(entry, dict) and (
        any(name in entry for name in _IDS) or entry.keys() in ({"result"}, {"error"})
    )


def _own(results: list[dict[str, Any]], call_id: str) -> ToolAnswer:
    """Find the result of this call; one without an id is that of the only call."""
    for entry in results:
        if call_id in (entry.get(name) for name in _IDS):
            return _unwrapped(entry)
    if len(results) == 1 and not any(results[0].get(name) for name in _IDS):
        return _unwrapped(results[0])
    return failure("the server of the tool answered another call")


def _unwrapped(answer: dict[str, Any]) -> ToolAnswer:
    """Take the result or the error out; what stands beside other data stays as it is."""
    facts = {name: value for name, value in answer.items() if name not in _IDS}
    error = facts.get("error")
    if error is not None and facts.keys() <= {"error", "result"} and facts.get("result") is None:
        return ToolAnswer({"error": _short(error)}, failed=True)
    if "result" in facts and facts.keys() <= {"result", "error"} and error is None:
        return ToolAnswer(facts["result"])
    return ToolAnswer(facts, failed=error is not None and "result" not in facts)


def _short(error: Any) -> Any:
    return error[:_MOST_QUOTED_CHARS] if isinstance(error, str) else error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
