"""JSON Schemas that clients store: draft 2020-12, small, and complete in themselves.

They go to models of vendors, and they check what those answer, so a schema that no validator
could read is refused when it is saved.
"""

from __future__ import annotations

import json
import re
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
    """A reference must lead to a place in the schema itself, and not in a circle."""
    dicts = [part for part, _ in parts_of(schema) if isinstance(part, dict)]
    anchors = {
        part[name]: part
        for part in dicts
        for name in ("$anchor", "$dynamicAnchor")
        if isinstance(part.get(name), str)
    }
    beside: dict[int, list[Any]] = {}  # what else must hold for the same value, by identity
    for part in dicts:
        beside[id(part)] = list(_in_place(part))
        for name in _REFERENCES:
            reference = part.get(name)
            if not isinstance(reference, str):
                continue
            if not reference.startswith("#"):
                return f"has a {name} to another document; only #/... within the schema is read"
            target = anchors.get(reference[1:]) or _at(schema, reference[1:])
            if target is None:
                return f"has a {name} to {reference[:_SHOWN]}, which is not there"
            beside[id(part)].append(target)
    return "has a $ref that leads to itself" if _circular(beside) else None


def _in_place(part: Mapping[str, Any]) -> Iterator[Any]:
    """Schemas that apply to the same value as this one."""
    for name in ("not", "if", "then", "else"):
        yield part.get(name)
    for name in ("allOf", "anyOf", "oneOf"):
        yield from part[name] if isinstance(part.get(name), list) else ()
    if isinstance(part.get("dependentSchemas"), dict):
        yield from part["dependentSchemas"].values()


def _circular(beside: Mapping[int, list[Any]]) -> bool:
    """Whether checking one value would never end: take away what ends until nothing does."""
    left = {node: {id(each) for each in others} & beside.keys() for node, others in beside.items()}
    while ending := [node for node, others in left.items() if not others]:
        for node in ending:
            del left[node]
        left = {node: others - set(ending) for node, others in left.items()}
    return bool(left)


def _at(schema: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901), None when it leads nowhere."""
    if pointer and not pointer.startswith("/"):
        return None
    for step in pointer.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict):
            schema = schema.get(name)
        elif isinstance(schema, list) and re.fullmatch("[0-9]{1,5}", name):
            schema = schema[int(name)] if int(name) < len(schema) else None
        else:
            return None
    return schema


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
        "type": ["object", "boolean"],
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
