"""What a leg says it has sent, for the one who listens for its echo."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sovereign_ari.media.echo import SENT_FRAMES
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.wire.media_leg import MediaLeg
from sovereign_ari.wire.rtp_socket import RtpSocket

LOUD = b"\x10" * 160


@pytest.fixture
def leg(rtp: RtpSocket) -> Iterator[MediaLeg]:
    leg = MediaLeg(ULAW_8K, rtp, 1, lambda: 0.0, lambda frame, now_s: None)
    yield leg
    leg.close()


def test_each_frame_is_told_once_and_silence_as_none(leg: MediaLeg) -> None:
    leg.next_packet(0.0)
    leg.put(LOUD * 2)
    leg.next_packet(0.02)
    assert list(leg.take_sent()) == [None, LOUD]
    leg.next_packet(0.04)
    leg.next_packet(0.06)
    assert list(leg.take_sent()) == [LOUD, None]
    assert list(leg.take_sent()) == []


def test_a_line_that_nobody_listens_to_keeps_only_the_latest(leg: MediaLeg) -> None:
    for number in range(3 * SENT_FRAMES):
        leg.next_packet(number * 0.02)
    assert len(leg.take_sent()) == SENT_FRAMES
