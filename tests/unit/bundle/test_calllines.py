from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.bundle.calllines import call_line


def test_an_ended_call_is_one_line() -> None:
    payload = {
        "call_id": "call-inbound-01m7yg0rjd6j21mg3f8mq1ftwd",
        "status": "ended",
        "dialled": "+31201234567",
        "assistant": "Demo",
        "duration_s": 12.4,
        "end_reason": "user_hangup",
    }
    assert call_line(json.dumps(payload), "12:00:00") == (
        "12:00:00  call-inbound-01m7yg0rjd6j21mg3f8mq1ftwd  ended        to +31201234567"
        "  Demo  12 s  (user_hangup)"
    )


def test_what_is_not_known_yet_is_left_out() -> None:
    payload = {"call_id": "01", "status": "ringing", "duration_s": None, "dialled": None}
    assert call_line(json.dumps(payload), "12:00:00") == "12:00:00  01  ringing    "


@given(st.text())
def test_anything_else_is_no_line_and_no_error(payload: str) -> None:
    assert call_line(payload, "12:00:00") is None
