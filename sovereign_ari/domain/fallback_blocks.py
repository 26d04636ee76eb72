"""`fallback` of a provider block: blocks of the same kind that stand in for it, in order. Pure.

They name a provider, a model and its parameters. What belongs to the conversation stays with the
primary, and no fall-back has fall-backs of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

FALLBACK = "fallback"
OF_A_CALL = ("messages", "tools")

MOST = 3

_MISPLACED = {
    FALLBACK: "a fall-back has no fall-backs of its own",
    **{name: f"the {name} of the primary hold; leave it out" for name in OF_A_CALL},
}


def fallbacks_of(block: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The fall-backs of a valid block."""
    return list(block.get(FALLBACK) or ())


def placed(block: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """The fall-backs of any block that may be valid, each with its path."""
    given = block.get(FALLBACK)
    if isinstance(given, list | tuple):
        for number, one in enumerate(given[:MOST]):
            if isinstance(one, Mapping):
                yield f"{path}.{FALLBACK}[{number}]", one


def parted(kind: str, block: Mapping[str, Any], path: str) -> tuple[dict[str, Any], list[str]]:
    """Take out of a fall-back what it may not have, and say so."""
    wrong = [name for name in block if name in _MISPLACED and (kind == "llm" or name == FALLBACK)]
    bare = {name: value for name, value in block.items() if name not in wrong}
    return bare, [f"{path}.{name}: {_MISPLACED[name]}" for name in wrong]


def described(branches: list[dict[str, Any]], realtime: frozenset[str]) -> dict[str, Any]:
    """Describe blocks with fall-backs, which are described once.

    Args:
        branches: JSON Schema of a block, for each provider.
        realtime: Providers that stand in for nobody.
    """
    stand_ins = []
    for branch in branches:
        fields = branch["properties"]
        if FALLBACK in fields:
            fields[FALLBACK]["items"] = {"$ref": "#/$defs/Fallback"}
        if fields["provider"]["enum"][0] not in realtime:
            own = {name: field for name, field in fields.items() if name not in _MISPLACED}
            stand_ins.append(copy.deepcopy({**branch, "properties": own}))
    return {"oneOf": branches, "$defs": {"Fallback": {"oneOf": stand_ins}}}
