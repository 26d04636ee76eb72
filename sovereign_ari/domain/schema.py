"""The part of JSON Schema that provider blocks need, checked with sentences for people. Pure.

Keywords: type, enum, minimum, maximum, minLength, maxLength, pattern (of the whole value), items,
minItems, maxItems, properties, required, additionalProperties, oneOf (of objects that their `type`
tells apart), and the format `safe-regex`. Ours: `x-form` says a pattern in words,
`x-accepts` takes the place of a pattern that promises less than we accept, and
`x-clamp: [low, high]` moves a number into a range instead of refusing it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

MAX_REPETITIONS = 3
MOST_NAMED = 40
"""Of how many options a sentence lists all."""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list, tuple),
    "object": (Mapping,),
}


def faults(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Say what is wrong with a value, one `path: what is wrong` per fault."""
    if "oneOf" in schema:
        yield from _branch_faults(schema["oneOf"], value, path)
        return
    kind = schema.get("type")
    if isinstance(kind, str) and not _is(value, kind):
        yield f"{path}: must be {_article(kind)} {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {_shown(value)} is {_other_than([str(v) for v in schema['enum']], value)}"
        return
    if kind in ("integer", "number"):
        yield from _range_faults(schema, value, path)
    elif kind == "string":
        yield from _text_faults(schema, value, path)
    elif kind == "array":
        yield from _array_faults(schema, value, path)
    elif kind == "object":
        yield from _object_faults(schema, value, path)


def settled(schema: Schema, value: Any) -> Any:
    """Copy a valid value, with its numbers moved into the ranges that clamp them."""
    if "x-clamp" in schema:
        low, high = schema["x-clamp"]
        return min(max(value, low), high)
    if isinstance(value, Mapping):
        properties: Mapping[str, Schema] = schema.get("properties", {})
        return {name: settled(properties.get(name, {}), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [settled(schema.get("items", {}), item) for item in value]
    return value


def nearest(name: str, known: Sequence[str]) -> str:
    """Name the known word that was probably meant, as the end of a sentence."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def regex_fault(pattern: str) -> str | None:
    """Say why a regular expression may not be used, or None.

    Python's matcher backtracks: a repeated group that itself repeats or branches takes time
    exponential in the text, several repetitions in a row a high power of it. Both
    would stop every call of a controller.
    """
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    groups: list[bool] = []  # of each open group: does it repeat or branch inside?
    inner = False  # of the group closed just before
    repetitions = 0
    for token in re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|\{\d*,?\d*\}|.", pattern, re.DOTALL):
        if token == "(":
            groups.append(False)
            continue
        if token == ")":
            inner = groups.pop() if groups else False
            if groups and inner:
                groups[-1] = True
            continue
        repeats = token in ("*", "+") or (token.startswith("{") and token != "{")
        if repeats:
            repetitions += 1
            if inner:
                return "repeats a group that repeats or branches itself"
        if groups and (repeats or token == "|"):
            groups[-1] = True
        inner = False
    if repetitions > MAX_REPETITIONS:
        return f"has more than {MAX_REPETITIONS} repetitions"
    return None


def _branch_faults(branches: Sequence[Schema], value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: must be an object"
        return
    by_type = {branch["properties"]["type"]["enum"][0]: branch for branch in branches}
    kind = value.get("type")
    if "type" not in value:
        yield f"{path}.type: is required; known are {', '.join(by_type)}"
    elif not isinstance(kind, str) or kind not in by_type:
        yield f"{path}.type: {_shown(kind)} is not one of {', '.join(by_type)}"
    else:
        yield from faults(by_type[kind], value, path)


def _other_than(options: Sequence[str], value: Any) -> str:
    if len(options) <= MOST_NAMED:
        return f"not one of {', '.join(options)}"
    close = difflib.get_close_matches(str(value)[:60], options, n=3, cutoff=0.3)
    return f"not one of the {len(options)} known; near it are {', '.join(close or options[:3])}"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    return isinstance(value, _TYPES[kind])


def _range_faults(schema: Schema, value: float, path: str) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if not (low is None or value >= low) or not (high is None or value <= high):
        yield f"{path}: {value} is not between {low} and {high}"


def _text_faults(schema: Schema, value: str, path: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{path}: must not be empty"
    elif len(value) > schema.get("maxLength", len(value)):
        yield f"{path}: is longer than {schema['maxLength']} characters"
    elif (pattern := schema.get("x-accepts", schema.get("pattern"))) and not re.fullmatch(
        pattern, value
    ):
        form = schema.get("x-form")
        yield f"{path}: " + (
            f"is not {form}" if form else f"does not have the form {schema['pattern']}"
        )
    elif schema.get("format") == "safe-regex" and (fault := regex_fault(value)) is not None:
        yield f"{path}: {fault}"


def _array_faults(schema: Schema, value: Sequence[Any], path: str) -> Iterator[str]:
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{path}: has more than {schema['maxItems']} entries"
        return
    if len(value) < schema.get("minItems", 0):
        yield f"{path}: has fewer than {schema['minItems']} entries"
    for index, item in enumerate(value):
        yield from faults(schema.get("items", {}), item, f"{path}[{index}]")


def _object_faults(schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[str]:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name}: is required"
    for name, item in value.items():
        if name in properties:
            yield from faults(properties[name], item, f"{path}.{name}")
        elif schema.get("additionalProperties", True) is False:
            yield f"{path}.{name}: is unknown{nearest(str(name), sorted(properties))}"


def _article(kind: str) -> str:
    return "an" if kind[0] in "aio" else "a"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
