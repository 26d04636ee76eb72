"""What a real Asterisk sent, through everything that reads packets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sovereign_ari.media.dtmf import DigitCollector
from sovereign_ari.media.g711 import ulaw_to_pcm
from sovereign_ari.media.jitter import JitterBuffer
from sovereign_ari.media.pcm import BY_CODEC
from sovereign_ari.media.reframe import Frame
from sovereign_ari.media.resample import Resampler
from sovereign_ari.media.rtp import PAYLOAD_TYPES, RtpPacket
from sovereign_ari.media.transcode import decoder_for
from sovereign_ari.media.vad import VoiceActivity
from tests.unit.media.signals import SPEECH, from_pcm

RECORDED = Path(__file__).parents[2] / "data" / "rtp"

pytestmark = pytest.mark.parametrize("codec", ["ulaw", "alaw", "g722"])


def datagrams(codec: str) -> list[bytes]:
    recorded, found = (RECORDED / f"{codec}.bin").read_bytes(), []
    while recorded:
        size = int.from_bytes(recorded[:2], "big")
        found.append(recorded[2 : 2 + size])
        recorded = recorded[2 + size :]
    return found


def packets(codec: str) -> list[RtpPacket]:
    return [RtpPacket.parse(datagram) for datagram in datagrams(codec)]


def received(codec: str) -> tuple[JitterBuffer, list[Frame]]:
    buffer, frames = JitterBuffer(BY_CODEC[codec]), list[Frame]()
    for number, packet in enumerate(packets(codec)):
        frames += buffer.push(packet, number * 0.020)
    return buffer, frames


def test_every_packet_is_read_and_written_back_alike(codec: str) -> None:
    assert len(datagrams(codec)) > 150
    for datagram in datagrams(codec):
        assert RtpPacket.parse(datagram).to_bytes() == datagram


def test_the_payload_types_are_ours_and_the_digits(codec: str) -> None:
    assert {packet.payload_type for packet in packets(codec)} == {
        PAYLOAD_TYPES[BY_CODEC[codec].encoding],
        101,
    }


def test_the_digits_are_told_once_each(codec: str) -> None:
    collector = DigitCollector()
    events = [packet for packet in packets(codec) if packet.payload_type == 101]
    assert "".join(filter(None, map(collector.push, events))) == "42#"


def test_nothing_is_lost_on_a_clean_network(codec: str) -> None:
    buffer, frames = received(codec)
    audio = [packet for packet in packets(codec) if packet.payload_type != 101]
    sent = b"".join(packet.payload for packet in audio)
    assert b"".join(frame for frame in frames if frame) == sent[: len(frames) * 160]
    assert len(frames) == len(sent) // 160
    stats = buffer.stats
    assert stats.lost == stats.late == stats.duplicate == stats.restarts == 0
    assert stats.other == len(packets(codec)) - len(audio)


def test_the_speech_is_what_was_played(codec: str) -> None:
    wire = BY_CODEC[codec]
    decoder = decoder_for(wire)
    pcm = b"".join(decoder.decode(frame) for frame in received(codec)[1] if frame)
    played = ulaw_to_pcm((SPEECH / "flite.ulaw").read_bytes())
    if wire.rate_hz != 8000:
        played = Resampler(8000, wire.rate_hz).process(played)
    heard, said = from_pcm(pcm), from_pcm(played)
    said = said[: len(heard) - 4 * wire.rate_hz // 50]
    at = int(np.argmax(np.correlate(heard, said)))
    assert np.corrcoef(heard[at : at + len(said)], said)[0, 1] > 0.8


def test_the_speech_is_judged_speech(codec: str) -> None:
    wire = BY_CODEC[codec]
    decoder, activity = decoder_for(wire), VoiceActivity(wire.rate_hz)
    judged = [activity.is_speech(decoder.decode(f)) for f in received(codec)[1] if f]
    assert sum(judged) > 80
