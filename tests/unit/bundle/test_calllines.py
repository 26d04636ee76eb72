from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.bundle.calllines import call_line


def test_an_ended_call_is_one_line() -> None:
    payload = {
        "call_id": "0123456789abcdef",
        "status": "completed",
        "dialled": "+31201234567",
        "assistant": "Demo",
        "duration_s": 12.4,
        "end_reason": "caller_hung_up",
    }
    assert call_line(json.dumps(payload), "12:00:00") == (
        "12:00:00  call 01234567  completed    to +31201234567  Demo  12 s  (caller_hung_up)"
    )


def test_what_is_not_known_yet_is_left_out() -> None:
    payload = {"call_id": "01", "status": "ringing", "duration_s": None, "dialled": None}
    assert call_line(json.dumps(payload), "12:00:00") == "12:00:00  call 01  ringing    "


@given(st.text())
def test_anything_else_is_no_line_and_no_error(payload: str) -> None:
    assert call_line(payload, "12:00:00") is None
