"""What generated requests must know beyond JSON Schema. Loaded by schemathesis itself."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.support.legal_assistants import legal_assistant
from tests.support.legal_bodies import legal
from tests.support.legal_keys import legal_key

# Regular expressions that cannot backtrack without end.
_URL = re.compile(r"(?i)https?://[^\x00-\x20]{1,1990}")  # as the document describes it
_NEED_AN_ACCOUNT = ("register", "inbound_auth")
SAFE = st.from_regex(r"[a-z]{1,12}( [a-z]{1,12})?", fullmatch=True)
schemathesis.openapi.format("safe-regex", SAFE)


def _inside(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Repair bodies that hardly ever come out legal, such as the graph of a workflow."""
    if "/tool-templates/" in context.operation.path and isinstance(body, dict):
        if isinstance(body.get("name"), str) and body["name"]:
            body = body | {"name": "hours"}  # a function without a name of its own has this one
    if "/mcp-servers" in context.operation.path and isinstance(body, dict):
        if isinstance(body.get("url"), str) and _URL.fullmatch(body["url"]):
            body = body | {"url": "https://8.8.8.8/mcp"}  # a name would have to be there
    if "/sip-trunks" in context.operation.path and isinstance(body, dict):
        # Both need an account, whose name has rules of its own for callers.
        body = {k: v for k, v in body.items() if v is not True or k not in _NEED_AN_ACCOUNT}
    return legal(legal_key(legal_assistant(body)))


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Leave out bodies that break a rule between two fields: no schema can state it."""
    tools = _inside(body, "llm_config", "tools")
    names = [
        _inside(tool, "function", "name") or _inside(tool, "name")
        for tool in (tools if isinstance(tools, list) else [])
    ]
    named = [name for name in names if isinstance(name, str)]
    delays = _inside(body, "speech_config", "turn_taking")
    low, high = (_inside(delays, f"endpointing_{end}_delay") for end in ("min", "max"))
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    return len(set(named)) == len(named) and not (numbers and high < low)


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Leave out queries that give one filter two values, under its older and its newer name."""
    names = (("assistant_id", "agent_id"), ("phone_number", "number"))
    found = query if isinstance(query, dict) else {}
    given = [[found[name] for name in pair if name in found] for pair in names]
    return all(len({str(value).lower() for value in values}) < 2 for values in given)
