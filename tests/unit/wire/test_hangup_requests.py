"""Asterisk's word for a hang-up is Q.850 when the other side wants it, and a flag when it does."""

from __future__ import annotations

import pytest

from sovereign_ari.wire.ari_messages import Channel, ChannelHangupRequest


@pytest.mark.parametrize(
    ("cause", "soft", "q850", "by_timeout", "by_order"),
    [
        (None, None, 0, False, False),  # a BYE
        (44, None, 44, False, False),  # a BYE with a reason, which is not our PBX's
        (1, None, 1, False, False),
        (1, True, 0, True, False),  # no RTP for `rtp_timeout`
        (32, True, 0, False, True),  # `channel request hangup`
        (4, True, 0, False, True),  # `core restart now`
        (16, True, 0, False, False),  # the dialplan ended
    ],
)
def test_who_hung_up(
    cause: int | None, soft: bool | None, q850: int, by_timeout: bool, by_order: bool
) -> None:
    asked = ChannelHangupRequest(
        type="ChannelHangupRequest", channel=Channel(id="1"), cause=cause, soft=soft
    )
    assert (asked.q850, asked.by_timeout, asked.by_order) == (q850, by_timeout, by_order)
