from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.tools.arguments import (
    LONGEST_CHARS,
    Arguments,
    ArgumentsFault,
    SchemaFault,
    check_schema,
)
from sovereign_ari.tools.patterns import is_quick

DAY = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "people": {"type": "integer", "minimum": 1},
    },
    "required": ["day"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"people": 2}', "'day' is a required property"),
        ('{"day": "tomorrow"}', "day: 'tomorrow' does not match"),
        ('{"day": "2026-01-01", "people": "two"}', "people: 'two' is not of type 'integer'"),
        ('{"day": "2026-01-01", "people": 0}', "people: 0 is less than the minimum of 1"),
        ('{"day": "2026-01-01", "who": 1}', "'who' was unexpected"),
        ("", "'day' is a required property"),
        ("not json", "are not JSON"),
        ('{"day": NaN}', "are not JSON"),
        ("[1]", "are not a JSON object"),
        ('"day"', "are not a JSON object"),
        ("[" * 100_000, "longer than"),
        ("[" * 10_000, "are not JSON"),
        ('{"a": ' * 30 + "1" + "}" * 30, "deep"),
        ('{"day": "' + "x" * LONGEST_CHARS + '"}', "longer than"),
        (json.dumps({"day": list(range(2000))}), "more than 1000 values"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ArgumentsFault) as fault:
        Arguments(DAY).read(text)
    assert said in str(fault.value)
    assert len(str(fault.value)) < 1200


def test_what_fits_is_read() -> None:
    assert Arguments(DAY).read('{"day": "2026-01-01", "people": 2}') == {
        "day": "2026-01-01",
        "people": 2,
    }


def test_without_a_schema_any_object_fits() -> None:
    assert Arguments(None).read("") == {}
    assert Arguments({}).read('{"a": [1]}') == {"a": [1]}
    assert Arguments(None).schema == {"type": "object", "properties": {}}


def test_texts_that_nobody_can_send_are_cleaned() -> None:
    assert Arguments(None).read('{"a": "x\\u0000y\\ud800z\\n"}') == {"a": "xyz\n"}


BRANCHES: dict[str, Any] = {"anyOf": [{"properties": {"a": {"$ref": "#"}}}] * 2}
SLOW = [
    ({"properties": {"a": {"pattern": "^(a+)+$"}}}, '{"a": "' + "a" * 60 + '!"}'),
    ({"properties": {"a": {"pattern": ".*.*.*.*.*x"}}}, '{"a": "' + "a" * 9000 + '"}'),
    (
        {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
        '{"' + "a" * 60 + '!": 1}',
    ),
    ({"allOf": [{**BRANCHES, "required": ["z"]}]}, '{"a":' * 18 + "{}" + "}" * 18),
    ({**BRANCHES, "required": ["b"]}, '{"a":' * 18 + "{}" + "}" * 18),
    ({"properties": {"a": {"uniqueItems": True}}}, json.dumps({"a": [[n] for n in range(480)]})),
]


@pytest.mark.parametrize(("schema", "text"), SLOW)
def test_no_schema_holds_up_the_calls(schema: dict[str, Any], text: str) -> None:
    begun_s = time.process_time()
    try:
        Arguments(schema).read(text)
    except ArgumentsFault:
        pass
    assert time.process_time() - begun_s < 2.0


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "https://example.com/schema"}}},
        {"properties": {"a": {"$ref": "#/nowhere"}}},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
def test_what_cannot_be_checked_is_left_to_the_server(schema: dict[str, Any]) -> None:
    assert Arguments(schema).read('{"a": "x"}') == {"a": "x"}


@pytest.mark.parametrize(
    ("pattern", "quick"),
    [
        (r"^\d{4}-\d{2}-\d{2}$", True),
        (r"^[A-Z]{2}$", True),
        (r"^[^@]+@[^@]+\.[^@]+$", True),
        (r"^(yes|no)$", True),
        (r"^\+?[1-9]\d{1,14}$", True),
        (r"^(a+)+$", False),
        (r"^(a|aa)+$", False),
        (r"((a?){9}){9}", False),
        (r"(\d+)\1", False),
        ("a?" * 30 + "a" * 30, False),
        ("(", False),
    ],
)
def test_patterns_that_may_take_for_ever_are_told_from_others(pattern: str, quick: bool) -> None:
    assert is_quick(pattern, 60) is quick


@given(st.text(alphabet="ab()+*?|{}[]^$\\1,.", max_size=30), st.integers(0, 10_000))
def test_any_text_is_judged(pattern: str, chars: int) -> None:
    is_quick(pattern, chars)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"properties": {f"p{n}": {} for n in range(2000)}},
        {"description": "x" * 70_000},
    ],
)
def test_the_schema_of_a_strangers_tool_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaFault):
        check_schema(schema)


def test_tools_of_each_call_share_one_kind_of_validator() -> None:
    first, second = Arguments(DAY), Arguments({"type": "object"})

    assert type(first._validator._validator) is type(second._validator._validator)
