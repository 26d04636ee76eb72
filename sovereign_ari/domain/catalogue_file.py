"""Reads the catalogue's file, in which nothing is written twice. Pure.

{"$ref": "#/a/b", ...}     what stands under `a`, `b` of the file; members beside it are added
{"enum_of": "a/b", ...}    an enum of the names under `a`, `b`
"fields": {kind: fields}   what every provider of a kind takes besides its own fields
"models": {model: facts}   of a provider: becomes its field `model`; the first is the default
                           unless `default_model` says otherwise
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sovereign_ari.domain.fallback_blocks import FALLBACK


def expanded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Write everything out that the file says once."""
    whole: dict[str, Any] = _resolved(data, data)
    common = whole.get("fields", {})
    for kind, providers in whole["kinds"].items():
        for entry in providers.values():
            model = {"model": _model_field(entry)} if entry.get("models") else {}
            shared = dict(common.get(kind, {}))
            if entry.get("realtime"):
                shared.pop(FALLBACK, None)  # nobody can take over what it hears and says
            entry["fields"] = {**shared, **model, **entry["fields"]}
    return whole


def _resolved(value: Any, root: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_resolved(item, root) for item in value]
    if not isinstance(value, Mapping):
        return value
    beside = {
        name: _resolved(item, root)
        for name, item in value.items()
        if name not in ("$ref", "enum_of")
    }
    if "enum_of" in value:
        beside["enum"] = list(_at(root, value["enum_of"]))
    if "$ref" not in value:
        return beside
    target = _resolved(_at(root, value["$ref"].removeprefix("#/")), root)
    return {**target, **beside} if isinstance(target, dict) else target


def _at(root: Mapping[str, Any], path: str) -> Any:
    found: Any = root
    for part in path.split("/"):
        found = found[part]
    return found


def _model_field(entry: Mapping[str, Any]) -> dict[str, Any]:
    models: Mapping[str, Mapping[str, Any]] = entry["models"]
    field: dict[str, Any] = {
        "type": "string",
        "enum": list(models),
        "default": entry.get("default_model") or next(iter(models)),
    }
    remarks = [_remark(name, facts) for name, facts in models.items()]
    if said := [remark for remark in remarks if remark]:
        field["description"] = " ".join(said)
    return field


def _remark(model: str, facts: Mapping[str, Any]) -> str:
    if "retires" in facts:
        heir = f" in favour of {facts['successor']}" if "successor" in facts else ""
        return f"The vendor shuts {model} down on {facts['retires']}{heir}."
    return f"{model} is a legacy model." if facts.get("legacy") else ""
