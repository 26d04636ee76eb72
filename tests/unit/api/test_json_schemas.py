"""Which JSON Schemas are kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from api.json_schemas import MOST_PARTS, fault_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "$ref", "$defs", "required", "pattern"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]},
        {"items": {"$ref": "#"}},
        {"$defs": {"a/b~": {}}, "items": {"$ref": "#/$defs/a~1b~0"}},
        {"$defs": {"a": {"$anchor": "here"}}, "items": {"$ref": "#here"}},
        {"allOf": [{}, {"$ref": "#/allOf/0"}]},
        {"$ref": "#/$defs/tree", "$defs": {"tree": {"properties": {"a": {"$ref": "#"}}}}},
        {"x-ours": {"anything": [1.5, None]}},
        {"properties": {"$ref": {"type": "string"}}},
    ],
)
def test_a_schema_that_a_validator_reads_is_kept(schema: dict[str, Any]) -> None:
    assert fault_of(schema) is None
    Draft202012Validator(schema).is_valid({"a": [1]})


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "strng"}, "is not a JSON Schema: type: 'strng' is not one of"),
        ({"properties": {"a": 5}}, "is not a JSON Schema: properties.a: 5 is not of type"),
        ({"required": "a"}, "is not a JSON Schema: required: 'a' is not of type 'array'"),
        ({"pattern": "["}, "is not a JSON Schema: pattern: '[' is not a 'regex'"),
        ({"pattern": "a{99999999999}"}, "is not a JSON Schema: "),
        ({"pattern": "(" * 5000 + ")" * 5000}, "is not a JSON Schema: "),
        ({"minimum": "1"}, "is not a JSON Schema: minimum: "),
        ({"$ref": "https://example.org/a"}, "has a $ref to another document"),
        ({"$ref": "other.json#/a"}, "has a $ref to another document"),
        ({"items": {"$dynamicRef": "file:///etc/passwd"}}, "has a $dynamicRef to another"),
        ({"$ref": "#/$defs/a"}, "has a $ref to #/$defs/a, which is not there"),
        ({"$ref": "#"}, "has a $ref that leads to itself"),
        ({"allOf": [{"$ref": "#"}]}, "has a $ref that leads to itself"),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}},
            "has a $ref that leads to itself",
        ),
        ({"$ref": "#nowhere"}, "has a $ref to #nowhere, which is not there"),
        ({"properties": {str(n): {} for n in range(MOST_PARTS)}}, "has more than 1000 parts"),
        ({"description": "x" * 70_000}, "is larger than 64 KiB"),
    ],
)
def test_any_other_is_refused_in_words(schema: dict[str, Any], says: str) -> None:
    fault = fault_of(schema)
    assert fault is not None
    assert fault.startswith(says)
    assert len(fault) < 400


def test_a_schema_is_not_too_deep() -> None:
    schema: dict[str, Any] = {}
    for _ in range(20):
        schema = {"not": schema}
    assert fault_of(schema) is None
    assert fault_of({"not": schema}) == "is nested more than 20 levels deep"


@given(st.dictionaries(st.sampled_from(["type", "$ref", "items", "$defs"]), JSON, max_size=4))
def test_any_object_is_a_schema_or_has_a_fault(schema: dict[str, Any]) -> None:
    fault = fault_of(schema)
    assert fault is None or fault.startswith(("is ", "has "))
    if fault is None:
        Draft202012Validator(schema).is_valid({"a": [1, {}], "": []})
