"""Why somebody did not answer."""

from __future__ import annotations

from sovereign_ari.domain.hangup_causes import failure
from sovereign_ari.domain.records import EndReason


def test_a_call_hung_up_in_the_console_is_no_fault_of_the_network_nor_tried_elsewhere() -> None:
    """Asterisk gives 32 as the cause then, which Q.850 does not know."""
    found = failure(None, 32, rang=False)
    assert found.reason is EndReason.NO_ANSWER
    assert found.text == "hung up in our PBX before an answer (cause 32)"
    assert not found.elsewhere


def test_a_network_without_a_way_is_tried_at_another_address() -> None:
    assert failure(None, 34, rang=False).elsewhere
