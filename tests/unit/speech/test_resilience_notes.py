from __future__ import annotations

from collections.abc import Mapping

from db.retention import PLAIN_NOTES
from sovereign_ari.errors import ProviderRefused
from sovereign_ari.speech.resilience import notes
from sovereign_ari.speech.resilience.notes import ProviderNotes

FACTS = {"kind", "from", "to", "code", "message", "took_ms"}


def test_every_note_has_the_same_facts_and_outlives_what_was_said() -> None:
    written: dict[str, Mapping[str, object]] = {}
    it = ProviderNotes(lambda what, facts: written.update({what: facts}), "tts")
    fault = ProviderRefused("openai speech answered 401: the key is wrong")
    it.retry("a", fault, 0.1)
    it.fallback("a", "b", fault, 0.2)
    it.hedge("a", "b", 1.5)
    it.circuit_open("a", "b")
    it.unusable("a", fault)
    assert all(set(facts) == FACTS for facts in written.values())
    assert {facts["kind"] for facts in written.values()} == {"tts"}
    assert written[notes.FALLBACK]["took_ms"] == 200
    assert written[notes.FALLBACK]["code"] == "provider_refused"
    assert written[notes.HEDGE]["code"] is None
    assert set(written) <= set(PLAIN_NOTES), "retention would empty them as if they were speech"
