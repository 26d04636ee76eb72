"""A room behind the voice: heard in every silence, and nothing else about the leg changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sovereign_ari.conversation.voice import Speech
from sovereign_ari.media.ambience import Ambience
from sovereign_ari.media.pcm import ALAW_8K, BY_CODEC, G722_16K, PCM_8K, ULAW_8K, AudioFormat
from sovereign_ari.media.rtp import RtpPacket
from sovereign_ari.media.transcode import decoder_for, encoder_for, silence_frame
from sovereign_ari.wire.media_leg import MediaLeg
from sovereign_ari.wire.rtp_socket import RtpSocket
from tests.support.scripted_speech import ScriptedTts

NOISE = np.random.default_rng(5).normal(0, 1100, 16000 * 2)  # -29.5 dBFS
ROOM = np.rint(NOISE).astype("<i2").tobytes()
TEXT = "One two three four five six seven eight nine ten."


def tone(seconds: float, rate_hz: int) -> bytes:
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (4600 * np.sin(2 * np.pi * 400 * at_s)).astype("<i2").tobytes()


def open_leg(audio: AudioFormat, rtp: RtpSocket) -> MediaLeg:
    return MediaLeg(audio, rtp, 1, lambda: 0.0, lambda frame, now_s: None)


@pytest.fixture(params=list(BY_CODEC.values()), ids=list(BY_CODEC))
def wire(request: pytest.FixtureRequest) -> AudioFormat:
    assert isinstance(request.param, AudioFormat)
    return request.param


@pytest.fixture
def bare(wire: AudioFormat, rtp: RtpSocket) -> Iterator[MediaLeg]:
    leg = open_leg(wire, rtp)
    yield leg
    leg.close()


@pytest.fixture
def furnished(wire: AudioFormat, rtp: RtpSocket) -> Iterator[MediaLeg]:
    leg = open_leg(wire, rtp)
    leg.furnish(Ambience(ROOM, 0.3, leg.audio))
    yield leg
    leg.close()


class Listener:
    """Decodes what a leg sends, as the far end does."""

    def __init__(self, leg: MediaLeg, wire: AudioFormat) -> None:
        self._leg = leg
        self._decoder = decoder_for(wire)
        self._now_s = 0.0
        self.packets: list[RtpPacket] = []

    def levels(self, frames: int) -> list[float]:
        """Hear this many frames; the level of each in dBFS."""
        found = []
        for _ in range(frames):
            self._now_s += 0.02
            packet = RtpPacket.parse(self._leg.next_packet(self._now_s))
            self.packets.append(packet)
            sound = np.frombuffer(self._decoder.decode(packet.payload), dtype="<i2")
            rms = np.sqrt(np.mean(sound.astype(float) ** 2))
            found.append(float(20 * np.log10(max(rms, 1) / 32768)))
        return found


def speak(leg: MediaLeg, seconds: float) -> None:
    leg.begin()
    leg.put(encoder_for(leg.audio).encode(tone(seconds, leg.audio.rate_hz)))


def test_the_room_goes_on_in_silence_in_pauses_and_after_a_cut(
    furnished: MediaLeg, wire: AudioFormat
) -> None:
    far = Listener(furnished, wire)
    assert far.levels(60)[10:] == pytest.approx([-40] * 50, abs=2)
    speak(furnished, 2.0)
    assert far.levels(20)[1:] == pytest.approx([-20] * 19, abs=1)
    furnished.pause()
    paused = far.levels(30)
    assert paused[15:] == pytest.approx([-40] * 15, abs=2)
    furnished.resume()
    assert far.levels(10)[2:] == pytest.approx([-20] * 8, abs=1)
    furnished.cut()
    assert far.levels(40)[15:] == pytest.approx([-40] * 25, abs=2)


@pytest.mark.parametrize("wire", [ULAW_8K, ALAW_8K], indirect=False)
def test_the_room_steps_back_under_speech(wire: AudioFormat, rtp: RtpSocket) -> None:
    leg = open_leg(wire, rtp)
    leg.furnish(Ambience(ROOM, 1.0, leg.audio))
    far = Listener(leg, wire)
    loud = np.mean(far.levels(60)[10:])
    leg.begin()
    leg.put(silence_frame(leg.audio) * 50)  # speech between two words
    ducked = np.mean(far.levels(50)[5:])
    leg.close()
    assert loud - ducked == pytest.approx(12, abs=0.5)


def test_without_a_room_what_is_sent_is_what_was_put_and_silence(
    bare: MediaLeg, wire: AudioFormat
) -> None:
    payloads = [RtpPacket.parse(bare.next_packet(0.0)).payload for _ in range(3)]
    speak(bare, 0.06)
    payloads += [RtpPacket.parse(bare.next_packet(0.0)).payload for _ in range(5)]
    silence = silence_frame(bare.audio)
    spoken = encoder_for(bare.audio).encode(tone(0.06, bare.audio.rate_hz))
    encoder = encoder_for(wire) if wire is G722_16K else None
    expected = silence * 3 + spoken + silence * 2
    assert b"".join(payloads) == (encoder.encode(expected) if encoder else expected)


async def test_what_was_heard_and_when_does_not_depend_on_the_room(
    bare: MediaLeg, furnished: MediaLeg, wire: AudioFormat
) -> None:
    records = []
    for leg in (bare, furnished):
        far = Listener(leg, wire)
        far.levels(7)
        speech = Speech(ScriptedTts(), leg, lambda: 0.0)
        speech.play(TEXT, tone(4.0, 8000), PCM_8K)
        record: list[object] = []
        for number in range(60):
            far.levels(1)
            if number == 20:
                leg.pause()
            if number == 30:
                leg.resume()
            record.append((speech.heard, leg.sent_bytes, leg.queued_s))
        record.append((leg.first_sent_s, leg.last_sent_s, speech.cut()))
        record.append([(p.sequence, p.timestamp, p.marker) for p in far.packets])
        record.append(leg.facts())
        records.append(record)
    assert records[0] == records[1]
    assert records[0][-3] != (None, None, "")
