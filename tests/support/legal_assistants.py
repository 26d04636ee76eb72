"""Repairs of generated assistants: what they refer to is not there, and fields must agree.

A body that is wrong in any other way stays as it is.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from api.bodies import parse_json
from api.kinds import is_uuid
from api.resources.tools import McpTool
from sovereign_ari.errors import InvalidRequest
from tests.support.api import CATALOGUE

_BLOCKS = (("stt_config", "stt"), ("tts_config", "tts"))
_DELAYS = {"endpointing_min_delay": 0.4, "endpointing_max_delay": 2.0}


def legal_assistant(body: Any) -> Any:
    """Repair the assistant that a body is, or that stands in it."""
    if not isinstance(body, dict):
        return body
    for name in ("assistant", "assistant_override"):
        if isinstance(body.get(name), dict):
            body = body | {name: _repaired(body[name])}
    return _repaired(body)


def _repaired(assistant: dict[str, Any]) -> dict[str, Any]:
    repairs = (_without_template, _without_servers, _with_its_own_voice, _with_delays)
    for repair in repairs:
        assistant = repair(assistant)
    return assistant


def _without_template(body: dict[str, Any]) -> dict[str, Any]:
    plan = body.get("analysis_plan")
    inner = plan.get("structured_data_plan") if isinstance(plan, dict) else None
    template = inner.get("template_id") if isinstance(inner, dict) else None
    if not isinstance(plan, dict) or not isinstance(template, str) or not is_uuid(template):
        return body
    assert isinstance(inner, dict)
    return body | {"analysis_plan": plan | {"structured_data_plan": inner | {"template_id": None}}}


def _without_servers(body: dict[str, Any]) -> dict[str, Any]:
    llm = body.get("llm_config")
    tools = llm.get("tools") if isinstance(llm, dict) else None
    if not isinstance(llm, dict) or not isinstance(tools, list):
        return body
    return body | {"llm_config": llm | {"tools": [t for t in tools if not _names_a_server(t)]}}


def _names_a_server(tool: Any) -> bool:
    try:
        McpTool.model_validate(tool)
    except ValidationError:
        return False
    return True


def _with_its_own_voice(body: dict[str, Any]) -> dict[str, Any]:
    """A model that hears and speaks itself takes no STT and TTS."""
    llm = body.get("llm_config")
    if not isinstance(llm, dict) or not CATALOGUE.is_realtime(llm.get("provider")):
        return body
    legal = [
        name
        for name, kind in _BLOCKS
        if isinstance(body.get(name), dict) and not _faults_of(kind, body[name])
    ]
    return body | dict.fromkeys(legal)


def _faults_of(kind: str, block: dict[str, Any]) -> list[str]:
    """What is wrong with a block as it will arrive: 20.0 is a whole number then."""
    try:
        return CATALOGUE.validate(kind, parse_json(json.dumps(block).encode()))
    except (InvalidRequest, ValueError) as error:
        return [str(error)]


def _with_delays(body: dict[str, Any]) -> dict[str, Any]:
    speech = body.get("speech_config")
    taking = speech.get("turn_taking") if isinstance(speech, dict) else None
    if not isinstance(speech, dict) or not isinstance(taking, dict):
        return body
    low, high = (taking.get(name, usual) for name, usual in _DELAYS.items())
    in_range = all(type(each) in (int, float) and 0.1 <= each <= 5 for each in (low, high))
    if not in_range or high >= low:
        return body
    delays = dict(zip(_DELAYS, (high, low), strict=True))
    return body | {"speech_config": speech | {"turn_taking": taking | delays}}
