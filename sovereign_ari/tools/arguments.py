"""Arguments that a model wrote, checked against the JSON Schema of their tool, in bounded time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError

from sovereign_ari.bounded_schema import BoundedSchema, Undecided
from sovereign_ari.conversation.tool_results import clean_value
from sovereign_ari.tools.patterns import is_quick

LONGEST_CHARS = 16_000
MOST_VALUES = 1000
DEEPEST = 20
LONGEST_KEY_CHARS = 200
LARGEST_SCHEMA_CHARS = 64 * 1024
_MOST_FAULTS = 5
_LONGEST_FAULT_CHARS = 200


class ArgumentsFault(Exception):
    """The arguments are not what the tool takes: one sentence for the model."""


class SchemaFault(Exception):
    """A tool of a stranger has a schema that cannot be used: one sentence for the operator."""


class Arguments:
    """What one tool takes; made once for each call, used for each use.

    What cannot be decided in bounded time, or needs a pattern that might take too long, is
    left to whoever gets the arguments.

    Args:
        schema: JSON Schema of an object, draft 2020-12; None takes any object.
    """

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self.schema: Mapping[str, Any] = {"type": "object", "properties": {}, **(schema or {})}
        self._validator = BoundedSchema(_tamed(self.schema), {"pattern": _pattern})

    def read(self, text: str) -> dict[str, Any]:
        """Parse and check what the model wrote.

        Raises:
            ArgumentsFault: If it does not fit.
        """
        arguments = _parsed(text)
        if faults := self._faults(arguments):
            raise ArgumentsFault("the arguments do not fit: " + "; ".join(faults))
        return arguments

    def _faults(self, arguments: dict[str, Any]) -> list[str]:
        try:
            return [_in_words(error) for error in self._validator.faults(arguments, _MOST_FAULTS)]
        except Undecided:
            return []


def check_schema(schema: Mapping[str, Any]) -> None:
    """Check the schema of a stranger's tool; those of our API were checked when they were saved.

    Raises:
        SchemaFault: If models or we cannot use it.
    """
    try:
        text = json.dumps(schema)
        if len(text) > LARGEST_SCHEMA_CHARS or _count(schema, 0) > MOST_VALUES:
            raise SchemaFault("its schema is too large")
        if schema.get("type", "object") != "object":
            raise SchemaFault("its schema is not that of an object")
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError, OverflowError, ValueError):
        raise SchemaFault("its schema is not a JSON Schema") from None


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_CHARS:
        raise ArgumentsFault(f"the arguments are longer than {LONGEST_CHARS} characters")
    try:
        arguments = json.loads(text if text.strip() else "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ArgumentsFault("the arguments are not JSON") from None
    if not isinstance(arguments, dict):
        raise ArgumentsFault("the arguments are not a JSON object")
    if _count(arguments, 0) > MOST_VALUES:
        raise ArgumentsFault(
            f"the arguments hold more than {MOST_VALUES} values, or lie more than {DEEPEST} deep"
        )
    cleaned: dict[str, Any] = clean_value(arguments)
    return cleaned


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _count(value: Any, depth: int) -> int:
    """How many values there are; more than `MOST_VALUES` for what is too deep or has long keys."""
    if not isinstance(value, dict | list):
        return 1
    if depth > DEEPEST:
        return MOST_VALUES + 1
    if isinstance(value, dict) and any(len(key) > LONGEST_KEY_CHARS for key in value):
        return MOST_VALUES + 1
    total = 1
    for item in value.values() if isinstance(value, dict) else value:
        total += _count(item, depth + 1)
        if total > MOST_VALUES:
            break
    return total


def _tamed(schema: Any) -> Any:
    """Take out patterns of property names that might take too long."""
    if isinstance(schema, list):
        return [_tamed(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {
        key: value if key in ("enum", "const", "default", "examples") else _tamed(value)
        for key, value in schema.items()
    }
    patterns = kept.get("patternProperties")
    if isinstance(patterns, dict) and not all(is_quick(p, LONGEST_KEY_CHARS) for p in patterns):
        for key in ("patternProperties", "additionalProperties", "unevaluatedProperties"):
            kept.pop(key, None)
    return kept


def _in_words(error: ValidationError) -> str:
    place = ".".join(str(part) for part in error.absolute_path)
    words = f"{place}: {error.message}" if place else error.message
    return words if len(words) <= _LONGEST_FAULT_CHARS else f"{words[:_LONGEST_FAULT_CHARS]}..."


def _pattern(
    validator: Any, pattern: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "string") or not is_quick(pattern, len(instance)):
        return
    if not re.search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")
