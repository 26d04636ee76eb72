"""What may be answered to `assistant-request`, and what a call is made of then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.assistant_request import (
    EVENT,
    FIELDS,
    LONGEST_REJECTION_CHARS,
    LONGEST_S,
    SHORTEST_S,
    Answer,
    AnswerFault,
    asked_webhook,
    read_answer,
    resolved_assistant,
    turning_away,
)
from sovereign_ari.domain.owner import Owner

ID = "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10"
OTHER_ID = "7b0d3c1e-5a52-4c8e-9d0e-2f6a1b3c4d5e"
ACCOUNT = {"account_url": "https://account.example", "account_secret": "a", "account_events": None}
OWNER = Owner("org", ACCOUNT, {"openai": b"sealed"})
DEFAULTS = {kind: {"provider": f"default {kind}"} for kind in ("llm", "stt", "tts")}
SAVED = dict.fromkeys(FIELDS) | {
    "name": "Reception",
    "first_message": "Hello",
    "gdpr_mode": True,
    "llm_config": {"provider": "openai", "messages": ["saved"], "tools": [{"type": "end_call"}]},
    "tts_config": {"provider": "espeak", "voice_id": "en"},
    "max_duration_seconds": 60,
    "webhook_url": "https://own.example",
    "webhook_secret": "s",
    "metadata": {"branch": "1"},
}


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ({}, Answer("default")),
        ({"anything": 1, "metadata": {}}, Answer("default")),
        ({"assistant": None, "error": None, "agent_id": None}, Answer("default")),
        ({"assistant": {"a": 1}}, Answer("transient", changes={"a": 1})),
        ({"agent": {"a": 1}}, Answer("transient", changes={"a": 1})),
        ({"agent_config": {"a": 1}, "assistant": {"a": 1}}, Answer("transient", None, {"a": 1})),
        ({"assistant_id": ID}, Answer("hybrid", ID)),
        ({"agent_id": ID.upper()}, Answer("hybrid", ID)),
        ({"agent_id": ID, "agent_override": {"b": 2}}, Answer("hybrid", ID, {"b": 2})),
        ({"assistant_override": {"b": 2}}, Answer("hybrid", None, {"b": 2})),
        ({"max_duration_seconds": 300}, Answer("default", max_duration_s=300)),
        ({"max_duration_seconds": 90.9}, Answer("default", max_duration_s=90)),
        (
            {"assistant": {}, "max_duration_seconds": 30},
            Answer("transient", changes={}, max_duration_s=30),
        ),
        ({"error": " Closed. "}, Answer("rejected", rejection="Closed.")),
        ({"error": "Closed.", "assistant": "?"}, Answer("rejected", rejection="Closed.")),
        ({"error": "\N{NO ENTRY SIGN}"}, Answer("rejected", rejection="")),
    ],
)
def test_every_form_is_read_in_every_spelling(data: Any, answer: Answer) -> None:
    assert read_answer(data) == answer


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([], "the answer is not a JSON object"),
        (None, "the answer is not a JSON object"),
        ("hello", "the answer is not a JSON object"),
        ({"assistant": []}, "assistant: is not an object"),
        ({"assistant_override": "x", "assistant_id": ID}, "assistant_override: is not an object"),
        ({"assistant_id": 7}, "assistant_id: is not a UUID"),
        ({"assistant_id": f"{{{ID}}}"}, "assistant_id: is not a UUID"),
        ({"assistant": {}, "assistant_id": ID}, "give either assistant"),
        ({"assistant": {}, "assistant_override": {}}, "give either assistant"),
        ({"assistant_id": ID, "agent_id": OTHER_ID}, "different values"),
        ({"assistant": {}, "agent": {"a": 1}}, "different values"),
        ({"max_duration_seconds": "300"}, "max_duration_seconds: is not a number"),
        ({"max_duration_seconds": True}, "max_duration_seconds: is not a number"),
        ({"error": ""}, "error: is not a text"),
        ({"error": "  "}, "error: is not a text"),
        ({"error": {"message": "Closed."}}, "error: is not a text"),
        ({"error": True}, "error: is not a text"),
    ],
)
def test_what_has_none_of_the_forms_is_a_fault_with_its_path(data: Any, fault: str) -> None:
    with pytest.raises(AnswerFault, match=fault):
        read_answer(data)


@pytest.mark.parametrize(
    ("asked", "given_s"),
    [(9, SHORTEST_S), (-1, SHORTEST_S), (10, 10), (14_400, LONGEST_S), (10**400, LONGEST_S)],
)
def test_a_limit_stays_within_the_platforms(asked: int, given_s: int) -> None:
    assert read_answer({"max_duration_seconds": asked}).max_duration_s == given_s


def test_of_a_very_long_rejection_whole_words_are_said() -> None:
    said = read_answer({"error": "word " * 2000}).rejection
    assert said is not None
    assert len(said) <= LONGEST_REJECTION_CHARS
    assert set(said.split()) == {"word"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    ["assistant", "agent", "assistant_id", "agent_id", "assistant_override", "agent_override",
     "agent_config", "max_duration_seconds", "error"]
)  # fmt: skip


@given(_JSON | st.dictionaries(_KEYS, _JSON | st.just(ID)))
def test_whatever_is_answered_is_read_or_a_fault(data: Any) -> None:
    try:
        answer = read_answer(data)
    except AnswerFault:
        return
    assert answer.max_duration_s is None or SHORTEST_S <= answer.max_duration_s <= LONGEST_S
    assert (answer.rejection is not None) == (answer.form == "rejected")


def test_a_key_replaces_that_whole_key_and_the_others_stay() -> None:
    changes = {"llm_config": {"provider": "parrot"}, "first_message": None}
    made = resolved_assistant(ID, SAVED, changes, None, OWNER, DEFAULTS)
    assert made.llm == {"provider": "parrot"}
    assert made.first_message is None
    assert made.tts == SAVED["tts_config"]
    assert (made.id, made.name, made.max_duration_s) == (ID, "Reception", 60.0)
    assert made.shown["metadata"] == {"branch": "1"}
    assert made.webhook is not None
    assert (made.webhook.url, made.webhook.secret) == ("https://own.example", "s")


def test_without_anything_saved_the_platforms_defaults_stand_in() -> None:
    changes = {"first_message": "Hi", "metadata": {"crm_id": "7"}}
    made = resolved_assistant(None, None, changes, 300, OWNER, DEFAULTS)
    assert (made.id, made.name, made.first_message) == ("", "", "Hi")
    assert (made.llm, made.stt, made.tts) == tuple(DEFAULTS.values())
    assert made.max_duration_s == 300
    assert made.shown["id"] is None
    assert made.shown["gdpr_mode"] is False
    assert made.sealed_keys == {"openai": b"sealed"}
    assert made.webhook is not None
    assert (made.webhook.url, made.webhook.secret) == ("https://account.example", "a")


def test_what_has_no_meaning_here_is_shown_as_it_came_and_decides_nothing() -> None:
    strange = {"crm": {"deep": [1, {"x": None}]}, "id": "mine", "is_active": True, "colour": "red"}
    made = resolved_assistant(ID, SAVED, strange, None, OWNER, DEFAULTS)
    assert (made.shown["crm"], made.shown["colour"]) == (strange["crm"], "red")
    assert made.shown["id"] == ID
    assert "is_active" not in made.shown


def test_secrets_that_are_supplied_sign_and_are_not_shown() -> None:
    tool = {
        "type": "function",
        "function": {"name": "f", "description": "d"},
        "server": {"url": "https://t.example", "secret": "tool-secret"},
    }
    changes = {
        "llm_config": {"provider": "openai", "tools": [tool]},
        "webhook_secret": "their-secret",
    }
    made = resolved_assistant(None, SAVED, changes, None, OWNER, DEFAULTS)
    assert made.llm["tools"][0]["server"]["secret"] == "tool-secret"
    assert made.webhook is not None
    assert made.webhook.secret == made.webhook_secret == "their-secret"
    assert "secret" not in str(made.shown)


def test_a_voice_that_turns_away_says_nothing_else_and_has_no_tools() -> None:
    made = turning_away(resolved_assistant(ID, SAVED, {}, 10, OWNER, DEFAULTS))
    assert made.first_message is None
    assert "tools" not in made.llm
    assert made.tts == SAVED["tts_config"]
    assert made.max_duration_s > 120
    assert made.shown["llm_config"]["tools"]


@pytest.mark.parametrize(
    ("events", "account_events", "asked"),
    [
        (None, None, "https://own.example"),
        ([EVENT], ["status-update"], "https://own.example"),
        (["status-update"], [EVENT], None),
    ],
)
def test_an_assistants_own_server_is_asked_if_it_wants_to_be(
    events: list[str] | None, account_events: list[str] | None, asked: str | None
) -> None:
    owner = Owner("org", ACCOUNT | {"account_events": account_events}, {})
    saved = SAVED | {"webhook_events": events}
    webhook = asked_webhook(resolved_assistant(ID, saved, {}, None, owner, DEFAULTS), owner)
    assert (webhook and webhook.url) == asked


@pytest.mark.parametrize(
    ("url", "events", "asked"),
    [
        ("https://account.example", None, True),
        ("https://account.example", [EVENT], True),
        ("https://account.example", ["status-update"], False),
        (None, None, False),
    ],
)
def test_the_account_is_asked_about_numbers_without_an_assistant(
    url: str | None, events: list[str] | None, asked: bool
) -> None:
    account = {"account_url": url, "account_secret": "a", "account_events": events}
    webhook = asked_webhook(None, Owner("org", account, {}))
    assert (webhook is not None) is asked
    if webhook is not None:
        assert webhook.secret == "a"
