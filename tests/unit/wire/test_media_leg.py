"""What a leg says of the reply it is sending, and not of the one before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sovereign_ari.conversation.voice import Speech
from sovereign_ari.media.pcm import PCM_8K, ULAW_8K
from sovereign_ari.wire.media_leg import MediaLeg
from sovereign_ari.wire.rtp_socket import RtpSocket
from tests.support.scripted_speech import ScriptedTts

LOUD = b"\x10" * 160


@pytest.fixture
def leg(rtp: RtpSocket) -> Iterator[MediaLeg]:
    leg = MediaLeg(ULAW_8K, rtp, 1, lambda: 0.0, lambda frame, now_s: None)
    yield leg
    leg.close()


def say(leg: MediaLeg, frames: int, played: int) -> None:
    leg.begin()
    leg.put(LOUD * frames)
    for number in range(played):
        leg.next_packet(number * 0.02)


def times(leg: MediaLeg) -> tuple[float | None, float | None]:
    return leg.first_sent_s, leg.last_sent_s


def test_a_reply_that_has_put_nothing_has_sent_nothing(leg: MediaLeg) -> None:
    say(leg, 10, 10)
    leg.begin()
    assert leg.sent_bytes == 0
    leg.put(LOUD)
    assert leg.sent_bytes == 0
    leg.next_packet(1.0)
    assert leg.sent_bytes == 160
    leg.cut()
    assert leg.sent_bytes == 160


async def test_a_sentence_that_never_sounded_was_not_heard(leg: MediaLeg) -> None:
    say(leg, 10, 10)
    speech = Speech(ScriptedTts(), leg, lambda: 0.0)
    speech.play("Nobody hears this.", b"", PCM_8K)
    assert speech.heard == ""


@pytest.mark.parametrize("hold_first", [True, False])
def test_audio_goes_on_when_it_is_neither_held_nor_paused(leg: MediaLeg, hold_first: bool) -> None:
    say(leg, 100, 5)
    steps = [lambda: leg.hold(True), leg.pause]
    for step in steps if hold_first else reversed(steps):
        step()
    for number in range(10):
        leg.next_packet(1.0 + number * 0.02)
    sent = leg.sent_bytes
    (leg.resume if hold_first else lambda: leg.hold(False))()
    for number in range(5):
        leg.next_packet(2.0 + number * 0.02)
    assert leg.sent_bytes == sent, "the other reason stands"
    (leg.resume if not hold_first else lambda: leg.hold(False))()
    leg.next_packet(3.0)
    assert leg.sent_bytes > sent


def test_the_fading_end_of_a_reply_is_not_the_beginning_of_the_next(leg: MediaLeg) -> None:
    say(leg, 10, 5)
    leg.cut()
    leg.begin()
    leg.next_packet(1.0)
    assert times(leg) == (None, None)
    leg.put(LOUD)
    leg.next_packet(2.0)
    assert times(leg) == (2.0, 2.0)
