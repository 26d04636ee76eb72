"""Why somebody did not answer, over every pair of SIP status and Q.850 cause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.hangup_causes import failure
from sovereign_ari.domain.records import EndReason

STATUSES = st.none() | st.integers(300, 699)
CAUSES = st.none() | st.integers(0, 127)
NEVER_ANSWERED = {
    EndReason.BUSY,
    EndReason.NO_ANSWER,
    EndReason.DECLINED,
    EndReason.UNREACHABLE,
    EndReason.ERROR,  # hung up in our own console
}


@given(sip=STATUSES, cause=CAUSES, rang=st.booleans())
def test_every_end_has_a_reason_and_names_its_codes(
    sip: int | None, cause: int | None, rang: bool
) -> None:
    why = failure(sip, cause, rang=rang)
    assert why.reason in NEVER_ANSWERED
    assert sip is None or f"SIP {sip}" in why.text
    assert not cause or f"cause {cause}" in why.text


@given(sip=STATUSES, cause=CAUSES)
def test_whoever_rang_is_not_called_again_over_another_address(
    sip: int | None, cause: int | None
) -> None:
    assert not failure(sip, cause, rang=True).elsewhere


@given(sip=st.integers(600, 699), cause=CAUSES, rang=st.booleans())
def test_a_global_failure_is_not_tried_elsewhere(sip: int, cause: int | None, rang: bool) -> None:
    assert not failure(sip, cause, rang=rang).elsewhere


@given(sip=st.integers(500, 599), cause=CAUSES)
def test_a_server_that_fails_is_passed_over(sip: int, cause: int | None) -> None:
    why = failure(sip, cause, rang=False)
    assert (why.reason, why.elsewhere) == (EndReason.UNREACHABLE, True)


@given(sip=st.integers(300, 399), cause=CAUSES, rang=st.booleans())
def test_a_redirection_is_an_end(sip: int, cause: int | None, rang: bool) -> None:
    why = failure(sip, cause, rang=rang)
    assert (why.reason, why.elsewhere) == (EndReason.UNREACHABLE, False)
    assert "redirected" in why.text


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (1, EndReason.UNREACHABLE),
        (17, EndReason.BUSY),
        (19, EndReason.NO_ANSWER),
        (21, EndReason.DECLINED),
        (28, EndReason.UNREACHABLE),
        (34, EndReason.UNREACHABLE),
        (42, EndReason.UNREACHABLE),
    ],
)
def test_a_cause_speaks_where_there_is_no_sip_status(cause: int, reason: EndReason) -> None:
    assert failure(None, cause, rang=False).reason is reason


def test_a_silent_trunk_is_unreachable_until_it_has_rung() -> None:
    assert failure(408, 18, rang=False).reason is EndReason.UNREACHABLE
    assert failure(408, 18, rang=True).reason is EndReason.NO_ANSWER


def test_a_call_hung_up_in_the_console_is_no_fault_of_the_network_nor_tried_elsewhere() -> None:
    """Asterisk gives 32 as the cause then, which Q.850 does not know."""
    found = failure(None, 32, rang=False)
    assert found.reason is EndReason.ERROR
    assert not found.elsewhere
