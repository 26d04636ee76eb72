"""JSON Schemas that clients store: draft 2020-12, small, and complete in themselves.

They go to models of vendors, and they check what those answer, so a schema that no validator
could read is refused when it is saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import best_match
from pydantic import AfterValidator, WithJsonSchema

LARGEST_BYTES = 64 * 1024
DEEPEST = 20
MOST_PARTS = 1000  # checking one takes 0.3 ms
_SHOWN = 160
_REFERENCES = ("$ref", "$dynamicRef")
_TYPES = ["string", "number", "integer", "boolean", "array", "object", "null"]


def fault_of(schema: Mapping[str, Any]) -> str | None:
    """Say why this is no JSON Schema that we keep, or None."""
    if (fault := _size_fault(schema)) is not None:
        return fault
    return _fault_of(json.dumps(schema))


def parts_of(value: Any, depth: int = 0) -> Iterator[tuple[Any, int]]:
    """Everything inside, with how deep it lies; nothing below the deepest allowed."""
    yield value, depth
    if depth > DEEPEST:
        return
    inside = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for item in inside:
            yield from parts_of(item, depth + 1)


def _size_fault(schema: Mapping[str, Any]) -> str | None:
    count = 0
    for value, depth in parts_of(schema):
        count += isinstance(value, dict | list)
        if depth > DEEPEST:
            return f"is nested more than {DEEPEST} levels deep"
        if count > MOST_PARTS:
            return f"has more than {MOST_PARTS} parts"
    if len(json.dumps(schema)) > LARGEST_BYTES:
        return f"is larger than {LARGEST_BYTES // 1024} KiB"
    return None


@lru_cache(maxsize=128)
def _fault_of(text: str) -> str | None:
    schema = json.loads(text)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        told = best_match(error.context) if error.context else error
        place = ".".join(str(part) for part in error.absolute_path)
        message = told.message if len(told.message) <= _SHOWN else told.message[:_SHOWN] + "..."
        return f"is not a JSON Schema{': ' + place if place else ''}: {message}"
    except (OverflowError, RecursionError):  # of a pattern with huge or deep repetitions
        return "is not a JSON Schema: a pattern in it is too large"
    return _reference_fault(schema)


def _reference_fault(schema: Mapping[str, Any]) -> str | None:
    """A reference must lead to a place in the schema itself."""
    anchors = {
        part[name]
        for part, _ in parts_of(schema)
        if isinstance(part, dict)
        for name in ("$anchor", "$dynamicAnchor")
        if isinstance(part.get(name), str)
    }
    for part, _ in parts_of(schema):
        for name in _REFERENCES:
            reference = part.get(name) if isinstance(part, dict) else None
            if not isinstance(reference, str):
                continue
            if not reference.startswith("#"):
                return f"has a {name} to another document; only #/... within the schema is read"
            if reference[1:] not in anchors and not _leads_somewhere(schema, reference[1:]):
                return f"has a {name} to {reference[:_SHOWN]}, which is not there"
    return None


def _leads_somewhere(schema: Any, pointer: str) -> bool:
    """Follow a JSON pointer (RFC 6901)."""
    if not pointer:
        return True
    if not pointer.startswith("/"):
        return False
    for step in pointer[1:].split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict) and name in schema:
            schema = schema[name]
        elif isinstance(schema, list) and name.isdecimal() and int(name) < len(schema):
            schema = schema[int(name)]
        else:
            return False
    return True


def _checked(schema: dict[str, Any]) -> dict[str, Any]:
    if (fault := fault_of(schema)) is not None:
        raise ValueError(fault)
    return schema


def _of_an_object(schema: dict[str, Any]) -> dict[str, Any]:
    """A function takes an object; vendors refuse anything else."""
    if schema.get("type", "object") != "object":
        raise ValueError("is not the JSON Schema of an object: `type` must be object")
    return _checked(schema)


def _described(kind: dict[str, Any], what: str) -> WithJsonSchema:
    """What OpenAPI says of a stored schema: the keywords that most have."""
    inner = {
        "type": "object",
        "properties": {"type": {"enum": _TYPES}, "description": {"type": "string"}},
    }
    return WithJsonSchema(
        {
            "type": "object",
            "description": f"{what} Draft 2020-12, without references to other documents.",
            "properties": {
                "type": kind,
                "properties": {"type": "object", "additionalProperties": inner},
                "required": {
                    "type": "array",
                    "items": {"type": "string"},
                    "uniqueItems": True,
                },
            },
        }
    )


JsonSchema = Annotated[
    dict[str, Any], AfterValidator(_checked), _described({"enum": _TYPES}, "A JSON Schema.")
]
Parameters = Annotated[
    dict[str, Any],
    AfterValidator(_of_an_object),
    _described({"const": "object"}, "The JSON Schema of an object."),
]
