"""What is kept of an assistant for whoever adopts its call makes the same assistant again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.kept import ELSEWHERE, KeptFault, keep, restore
from sovereign_ari.domain.webhook import Webhook

BLOCKS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.booleans()), max_size=3
)
ASSISTANTS = st.builds(
    Assistant,
    llm=BLOCKS,
    stt=BLOCKS,
    tts=BLOCKS,
    pronunciation=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))).map(tuple),
    end_call_phrases=st.lists(st.text(max_size=5)).map(tuple),
    sealed_keys=st.just({"openai": b"sealed"}),
    webhook=st.just(Webhook("https://example.com", "secret")),
    shown=BLOCKS,
    max_duration_s=st.floats(1, 3600),
    silence_timeout_s=st.none(),
)


@given(ASSISTANTS)
def test_every_assistant_comes_back_through_json(assistant: Assistant) -> None:
    kept = json.loads(json.dumps(keep(assistant)))
    again = restore(
        kept,
        shown=assistant.shown,
        webhook=assistant.webhook,
        sealed_keys=assistant.sealed_keys,
    )
    assert again == assistant


def test_what_others_keep_is_not_kept_twice_and_nothing_else_is_missing() -> None:
    plain = Assistant("a", "o", "Ann", None, {}, {}, {}, sealed_keys={"openai": b"sealed"})
    names = {field.name for field in fields(Assistant)}
    assert keep(plain).keys() == names - set(ELSEWHERE)


def test_a_field_that_a_later_release_added_has_its_default() -> None:
    plain = Assistant("a", "o", "Ann", "Hi.", {}, {}, {})
    kept = {
        name: value
        for name, value in keep(replace(plain, voicemail_detection=True)).items()
        if name not in ("voicemail_detection", "turn_taking", "background")
    }
    assert restore({**kept, "gone": 1}, shown={}, webhook=None, sealed_keys={}) == plain


@pytest.mark.parametrize(
    "change",
    [
        {"turn_taking": {"of_a_later_release": 1}},
        {"turn_taking": "eager"},
        {"silence": {"messages": None}},
        {"pronunciation": [1]},
        {"background": {"sound": "office", "of_a_later_release": 1}},
    ],
)
def test_what_has_another_form_is_a_fault_of_its_own(change: Mapping[str, Any]) -> None:
    kept = keep(Assistant("a", "o", "Ann", "Hi.", {}, {}, {}))
    with pytest.raises(KeptFault):
        restore({**kept, **change}, shown={}, webhook=None, sealed_keys={})
    with pytest.raises(KeptFault, match="llm"):
        restore(
            {k: v for k, v in kept.items() if k != "llm"}, shown={}, webhook=None, sealed_keys={}
        )
