"""Repairs of generated bodies that are right but for rules between fields, which no schema states.

A body that is wrong in any other way stays as it is.
"""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from api.bodies import parse_json
from api.resources.campaign_bodies import CreateCampaign
from api.resources.tools import Tool
from api.resources.workflow_bodies import DEFINITION, Definition, Edge, Node
from api.resources.workflow_reading import read_definition
from sovereign_ari.errors import InvalidRequest
from sovereign_ari.outgoing.policy import OutgoingPolicy
from tests.support.api import CATALOGUE

_NODES: TypeAdapter[list[Any]] = TypeAdapter(list[Node])
_EDGES: TypeAdapter[list[Edge]] = TypeAdapter(list[Edge])
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")
_NODE_ID = re.compile(Definition.model_json_schema()["properties"]["entry_node"]["pattern"])
_TOOLS = Draft202012Validator(TypeAdapter(list[Tool]).json_schema())
# Where rules between fields are broken; what stands in a block has its own schema.
_BETWEEN = re.compile(
    r"definition\.(entry_node|edges\[\d+\](\.(from|to|description))?|nodes\[\d+\]"
    r"(\.(id|global_description|voice|url|llm_config\.(provider|model)|tools.*))?): "
    r"|definition\.nodes\[\d+\]\.(stt|tts)_config\.\w+: .* is not a public "
)


def legal(body: Any) -> Any:
    """Repair a body, if that is all it needs."""
    if not isinstance(body, dict):
        return body
    return _with_hours(_with_graph(_without_twins(body)))


def _without_twins(body: dict[str, Any]) -> dict[str, Any]:
    """Keep the first of the leads that have the same number."""
    leads = body.get("leads")
    if not isinstance(leads, list):
        return body
    kept = {lead["phone_number"]: lead for lead in reversed(leads) if _is_lead(lead)}
    alone = [lead for lead in leads if not _is_lead(lead) or kept[lead["phone_number"]] is lead]
    return body if len(alone) == len(leads) else body | {"leads": alone}


def _is_lead(lead: Any) -> bool:
    return isinstance(lead, dict) and isinstance(lead.get("phone_number"), str)


def _with_hours(body: dict[str, Any]) -> dict[str, Any]:
    names = ("schedule_start_time", "schedule_end_time")
    given = [body.get(name, CreateCampaign.example[name]) for name in names]
    if not any(name in body for name in names):
        return body
    if all(isinstance(clock, str) and _CLOCK.fullmatch(clock) for clock in given):
        if given[0][:5] >= given[1][:5]:
            return body | dict(zip(names, ("00:00", "23:59:59"), strict=True))
    return body


def _with_graph(body: dict[str, Any]) -> dict[str, Any]:
    try:
        # As it will arrive: 20.0 is a whole number then.
        graph: Any = parse_json(json.dumps(body.get("definition")).encode())
        Definition.model_validate(graph)
        _NODES.validate_python(graph["nodes"])
        _EDGES.validate_python(graph["edges"])
    except (InvalidRequest, ValidationError, TypeError, KeyError, ValueError):
        return body
    refs = [graph["entry_node"], *(edge[end] for edge in graph["edges"] for end in ("from", "to"))]
    if not all(_NODE_ID.search(ref) for ref in refs):
        return body
    if not all(_TOOLS.is_valid(node.get("tools") or []) for node in graph["nodes"]):
        return body
    found = read_definition(graph, CATALOGUE, OutgoingPolicy())
    lines = [*found.lines, *found.realtime]
    if any(_BETWEEN.match(line) is None for line in lines):
        return body
    return body | {"definition": DEFINITION} if lines or found.mcp_servers else body
