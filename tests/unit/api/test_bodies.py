"""Parsing of what clients send."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bodies import Body, parse, parse_json, path_of
from api.kinds import is_uuid, iso_ms
from api.queries import parse_moment
from api.resources.assistant_bodies import CreateAssistant
from api.resources.numbers import CreateNumber
from api.resources.tools import read_tools
from db.pool import encode_json
from sovereign_ari.errors import InvalidRequest
from sovereign_ari.outgoing.policy import OutgoingPolicy

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_become_a_storable_value_or_an_invalid_request(raw: bytes) -> None:
    try:
        value = parse_json(raw)
    except InvalidRequest:
        return
    text = encode_json(value)
    assert "\\u0000" not in text
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("text", "number"), [("60.0", 60), ("6e1", 60), ("0.5", 0.5), ("1e300", 1e300), ("-0.0", 0)]
)
def test_a_whole_number_is_an_integer_however_it_is_written(text: str, number: float) -> None:
    value = parse_json(text.encode())
    assert value == number
    assert isinstance(value, type(number))


@given(st.text())
def test_any_text_is_a_moment_or_a_value_error(text: str) -> None:
    try:
        moment, _ = parse_moment(text)
    except ValueError:
        return
    assert moment.utcoffset() == timedelta(0)


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 28)))
def test_a_moment_we_write_is_read_back_to_the_millisecond(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    text = f"{naive.year:04}{iso_ms(moment)[iso_ms(moment).index('-') :]}"
    again, lasts = parse_moment(text)
    assert timedelta(0) <= moment - again < timedelta(milliseconds=1)
    assert lasts == timedelta(0)


@given(JSON)
def test_any_value_is_a_list_of_tools_or_has_faults(value: object) -> None:
    tools, lines = read_tools(value, OutgoingPolicy())
    assert lines or isinstance(value, list)
    assert all(isinstance(tool, dict) for tool in tools)


@given(st.uuids())
def test_uuids_are_recognised(value: object) -> None:
    assert is_uuid(str(value))
    assert not is_uuid(f"{value}\n")
    assert not is_uuid(str(value)[1:])


def test_a_place_is_written_as_a_path() -> None:
    assert path_of(("llm_config", "tools", 0, "name")) == "llm_config.tools[0].name"
    assert path_of(()) == ""


@pytest.mark.parametrize(
    ("model", "given_", "fault"),
    [
        (CreateNumber, {"phone_number": "0201234567"}, "is not a number in E.164 form"),
        (CreateAssistant, {"name": "a", "webhook_url": "ftp://e.com"}, "is not an http or https"),
        (CreateAssistant, {"name": "a", "notification_email": "me"}, "is not an e-mail address"),
    ],
)
def test_a_form_is_explained_in_words(
    model: type[Body], given_: dict[str, str], fault: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(model, given_)
    (line,) = refused.value.details
    assert line.startswith(f"{[*given_][-1]}: {fault}")
