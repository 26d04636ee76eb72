from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.schema import faults as schema_faults
from sovereign_ari.speech.registry import load_catalogue
from sovereign_ari.work.prompts import (
    LONGEST_TRANSCRIPT,
    PARROT_SCRIPT,
    Unfit,
    analysis_request,
    filled,
    read_answer,
    transcript_of,
)

VALUES = {
    "schema": '{"type": "object"}',
    "transcript": "Caller: {schema} {{summary}}",
    "ended_reason": "user_hangup",
    "end_reason": "user_hangup",
    "summary": "S",
    "duration": "84",
    "caller_number": "+31612345678",
}


def test_a_transcript_has_one_line_for_each_message() -> None:
    messages = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Hello?"}]
    assert transcript_of(messages) == "Assistant: Hi.\nCaller: Hello?"
    assert transcript_of([]) == ""


def test_of_a_very_long_transcript_the_middle_is_left_out() -> None:
    messages = [{"role": "user", "content": f"{n} " + "x" * 100} for n in range(5000)]
    text = transcript_of(messages)
    assert len(text) < LONGEST_TRANSCRIPT + 20
    assert text.startswith("Caller: 0 ")
    assert text.endswith(messages[-1]["content"])
    assert "\n[...]\n" in text


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("form", ["{%s}", "{{%s}}", "{{ %s }}", "a{{%s}}b"])
def test_every_placeholder_is_filled_in_every_style(name: str, form: str) -> None:
    text = form % name
    around = ("a", "b") if text.startswith("a") else ("", "")
    assert filled(text, VALUES) == VALUES[name].join(around)


@given(st.text(alphabet="{} schematrnip_x\n", max_size=60))
def test_filling_never_fails_and_leaves_what_is_no_placeholder(text: str) -> None:
    result = filled(text, VALUES)
    if not any(name in text for name in VALUES):
        assert result == text


def test_without_messages_of_its_own_a_plan_asks_with_ours() -> None:
    asked = analysis_request({}, VALUES)
    assert asked[-1] == {"role": "user", "content": VALUES["transcript"]}
    assert VALUES["schema"] in asked[-2]["content"]


def test_what_a_plans_messages_leave_out_is_added() -> None:
    only = {"messages": [{"role": "system", "content": "Is the caller happy?"}]}
    asked = analysis_request(only, VALUES)
    assert asked[0]["content"] == "Is the caller happy?"
    assert asked[1]["content"].endswith(VALUES["schema"])
    assert asked[2] == {"role": "user", "content": VALUES["transcript"]}
    whole = {"messages": [{"role": "system", "content": "{{schema}} {transcript}"}]}
    roles = [message["role"] for message in analysis_request(whole, VALUES)]
    assert roles == ["system", "user"], "a model needs something to answer to"


@pytest.mark.parametrize(
    "text", ['{"a": 1}', ' {"a": 1}\n', '```json\n{"a": 1}\n```', '```\n{"a": 1}\n```']
)
def test_an_object_is_read_with_or_without_a_fence(text: str) -> None:
    assert read_answer(text, {"required": ["a"]}) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("", {}),
        ("nonsense", {}),
        ("null", {}),
        ("[]", {}),
        ('"x"', {}),
        ('{"a": Infinity}', {}),
        ("{" * 10_000, {}),
        ('{"a": 1}', {"properties": {"a": {"type": "string"}}}),
        ('{"a": 1}', {"additionalProperties": False}),
        ("{}", {"required": ["a"]}),
        ("{}", {"$ref": "https://example.com/schema"}),
        ("{}", {"$ref": "#/nowhere"}),
        ("{}", {"$ref": "#"}),
    ],
)
def test_anything_else_is_unfit(text: str, schema: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        read_answer(text, schema)


def test_no_reference_is_followed_over_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, to: connected.append(to))
    with pytest.raises(Unfit, match="cannot be checked"):
        read_answer("{}", {"$ref": "http://127.0.0.1:9/schema.json"})
    assert connected == []


def test_a_fault_names_the_rule_and_never_the_value() -> None:
    schema = {"properties": {"pin": {"type": "integer"}}}
    with pytest.raises(Unfit, match=r"properties\.pin\.type") as caught:
        read_answer('{"pin": "tulip"}', schema)
    assert "tulip" not in str(caught.value)


def test_a_pattern_whose_check_would_not_end_is_not_checked() -> None:
    schema = {
        "properties": {"a": {"type": "string", "pattern": "(a+)+$"}},
        "patternProperties": {"(b+)+$": {"type": "integer"}},
    }
    begun_s = time.monotonic()
    assert read_answer(json.dumps({"a": "a" * 40 + "!", "b" * 40 + "!": 1}), schema)
    assert time.monotonic() - begun_s < 1
    with pytest.raises(Unfit):
        read_answer('{"a": "1"}', {"properties": {"a": {"pattern": "^[a-z]+$"}}})


def test_a_schema_that_asks_for_endless_work_is_given_up() -> None:
    doubling = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    schema = {"$defs": {**doubling, "a40": {"required": ["never"]}}, "$ref": "#/$defs/a0"}
    begun_s = time.monotonic()
    with pytest.raises(Unfit, match="cannot be checked"):
        read_answer("{}", schema)
    assert time.monotonic() - begun_s < 10


def test_the_script_of_the_offline_model_is_one_that_the_catalogue_takes() -> None:
    block = {"provider": "parrot", "model": "parrot-1", "script": list(PARROT_SCRIPT)}
    assert load_catalogue().validate("llm", block) == []
    assert list(schema_faults({"type": "object"}, block, "llm")) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda i: st.lists(i) | st.dictionaries(st.text(), i),
    )
)
def test_no_answer_is_a_fault_of_ours(value: Any) -> None:
    with contextlib.suppress(Unfit):
        assert read_answer(json.dumps(value), {"minProperties": 1}) == value
