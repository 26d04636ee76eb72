from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.telephony.silence import (
    ALONE_S,
    GOODBYE_S,
    LONGEST_ALONE_S,
    LONGEST_LEASE_S,
    RENEWED_AFTER,
    SHORTEST_LEASE_S,
    LineLimits,
)


@given(st.floats(2, 2000))
def test_a_call_without_a_controller_ends_when_its_silence_would_have(silence_s: float) -> None:
    limits = LineLimits(3600.0, silence_s)
    assert SHORTEST_LEASE_S <= limits.lease_s <= LONGEST_LEASE_S
    assert 0 <= limits.alone_s <= LONGEST_ALONE_S
    ends_s = limits.lease_s + limits.alone_s + GOODBYE_S
    assert ends_s <= max(silence_s, SHORTEST_LEASE_S) + GOODBYE_S + 0.5
    assert ends_s >= min(silence_s, LONGEST_LEASE_S + LONGEST_ALONE_S) - 0.5


def test_a_call_whose_silence_does_not_matter_is_kept_for_a_while() -> None:
    limits = LineLimits(3600.0, None)
    assert (limits.lease_s, limits.alone_s) == (LONGEST_LEASE_S, ALONE_S)


def test_one_renewal_of_a_lease_may_fail() -> None:
    assert 2 * RENEWED_AFTER < 1
