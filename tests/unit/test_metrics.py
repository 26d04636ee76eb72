from __future__ import annotations

from datetime import UTC, datetime

from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallNote
from sovereign_ari.metrics import ControllerMetrics


def note(kind: str) -> CallNote:
    facts = {"kind": "llm", "from": "openai/m", "to": "mistral/m"}
    return CallNote(CallId("call"), datetime(2026, 1, 1, tzinfo=UTC), kind, facts)


def test_circuits_are_read_when_they_are_asked_for() -> None:
    metrics, levels = ControllerMetrics(), {("llm", "openai/m"): 0}
    metrics.watch_circuits(lambda: levels)
    line = 'sovereign_provider_circuit{kind="llm",provider="openai/m"}'
    assert f"{line} 0.0" in metrics.exposition().decode()
    levels["llm", "openai/m"] = 2
    assert f"{line} 2.0" in metrics.exposition().decode()


def test_retries_fall_backs_and_hedges_are_counted_and_other_notes_are_not() -> None:
    metrics = ControllerMetrics()
    for kind in ("provider_retry", "provider_fallback", "provider_fallback", "control"):
        metrics.count(note(kind))
    text = metrics.exposition().decode()
    facts = 'kind="llm",note="provider_fallback",provider="openai/m"'
    assert f"sovereign_provider_resilience_total{{{facts}}} 2.0" in text
    assert "control" not in text


def test_what_came_of_asking_integrators_is_counted() -> None:
    metrics = ControllerMetrics()
    for outcome in ("default", "fault", "fault"):
        at = datetime(2026, 1, 1, tzinfo=UTC)
        metrics.count(CallNote(CallId("call"), at, "assistant_request", {"outcome": outcome}))
    text = metrics.exposition().decode()
    assert 'sovereign_assistant_requests_total{outcome="fault"} 2.0' in text
