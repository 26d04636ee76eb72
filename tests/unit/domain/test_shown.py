from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.shown import SHOWN, shown_config, webhook_of
from sovereign_ari.domain.webhook import EVENTS, Webhook

DEFAULTS = {kind: {"provider": f"default-{kind}"} for kind in ("llm", "stt", "tts")}
SECRET = "never-to-be-shown"


def fields(**more: Any) -> dict[str, Any]:
    return dict.fromkeys(SHOWN) | {"webhook_secret": SECRET} | more


def test_blocks_that_are_null_show_the_default_and_others_themselves() -> None:
    shown = shown_config(fields(llm_config={"provider": "parrot"}, metadata={"a": 1}), DEFAULTS)
    assert shown["llm_config"] == {"provider": "parrot"}
    assert (shown["stt_config"], shown["tts_config"]) == (DEFAULTS["stt"], DEFAULTS["tts"])
    assert shown["metadata"] == {"a": 1}
    assert set(shown) == set(SHOWN)


def test_secrets_of_tools_are_left_out_and_the_stored_tools_stay_as_they_are() -> None:
    tools: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": "a"}, "server": {"url": "u", "secret": SECRET}},
        {"type": "end_call"},
        {"name": "b", "description": "d", "url": "u"},
    ]
    llm = {"provider": "parrot", "tools": tools}
    shown = shown_config(fields(llm_config=llm), DEFAULTS)
    assert shown["llm_config"]["tools"] == [
        {"type": "function", "function": {"name": "a"}, "server": {"url": "u"}},
        {"type": "end_call"},
        {"name": "b", "description": "d", "url": "u"},
    ]
    assert SECRET not in json.dumps(shown)
    assert llm["tools"] is tools
    assert tools[0]["server"] == {"url": "u", "secret": SECRET}


_URL = st.sampled_from([None, "https://own.example"])
_SECRET = st.sampled_from([None, "s1"])
_EVENTS = st.none() | st.lists(st.sampled_from(EVENTS), unique=True)


@given(_URL, _SECRET, _EVENTS, _URL, _SECRET, _EVENTS)
def test_the_own_server_goes_before_the_accounts(
    url: str | None,
    secret: str | None,
    events: list[str] | None,
    account_url: str | None,
    account_secret: str | None,
    account_events: list[str] | None,
) -> None:
    found = webhook_of(
        {"webhook_url": url, "webhook_secret": secret, "webhook_events": events},
        {
            "account_url": account_url and "https://account.example",
            "account_secret": account_secret and "s2",
            "account_events": account_events,
        },
    )
    if url is None and account_url is None:
        assert found is None
        return
    assert found is not None
    assert found.url == (url or "https://account.example")
    assert found.secret == (secret or (account_secret and "s2"))
    if events is not None:
        assert found.events == frozenset(events)
    elif url is None and account_events is not None:
        assert found.events == frozenset(account_events)
    else:
        assert found.events == frozenset(EVENTS)


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_webhook_never_shows_its_secret(secret: str | None) -> None:
    assert SECRET not in repr(Webhook("https://example.com", secret))
