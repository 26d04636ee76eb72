"""Definitions of workflows that tests begin with."""

from __future__ import annotations

from typing import Any


def talk(node_id: str = "start", **fields: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "conversation", "instructions": "Talk.", **fields}


def definition(
    *nodes: dict[str, Any], edges: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A definition that begins with the first node, or with one of our own."""
    found = list(nodes) or [talk()]
    return {"version": 1, "entry_node": found[0]["id"], "nodes": found, "edges": edges or []}


def way(start: str, end: str, **fields: Any) -> dict[str, Any]:
    return {"from": start, "to": end, "description": "when it fits", **fields}
