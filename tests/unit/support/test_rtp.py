from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recording import dbfs
from tests.support.rtp_packets import (
    RtpPacket,
    at_rate,
    codec_named,
    event_payloads,
    parse_event,
    parse_rtp,
)
from tests.support.rtp_path import NetworkFaults, NetworkPath
from tests.support.rtp_port import RtpPort, stranger_speaks
from tests.support.speech_samples import speech, tone


@given(st.binary(max_size=64))
def test_any_datagram_is_a_packet_or_nothing(data: bytes) -> None:
    parse_rtp(data)


def test_a_packet_that_is_written_reads_the_same() -> None:
    packet = RtpPacket(101, 65_535, 2**32 - 1, 1, b"abc", marker=True)
    assert parse_rtp(packet.to_bytes()) == packet


@pytest.mark.parametrize("name", ["ulaw", "alaw", "g722"])
def test_speech_survives_every_codec(name: str) -> None:
    codec = codec_named(name)
    pcm = speech("good morning", codec.rate_hz)
    pcm = pcm[: len(pcm) // 640 * 640]
    payload = codec.encode(pcm)
    assert len(payload) == len(pcm) // 2 // (codec.rate_hz // 8000)
    assert dbfs(codec.decode(payload)) == pytest.approx(dbfs(pcm), abs=0.5)


def test_a_digit_is_pressed_once_and_ended_three_times() -> None:
    events = [parse_event(payload) for payload in event_payloads("#", 100)]
    assert events == [("#", False)] * 5 + [("#", True)] * 3


def test_faults_are_the_same_for_the_same_seed() -> None:
    def lost(seed: int) -> list[bytes]:
        arrived: list[bytes] = []
        path = NetworkPath(arrived.append, NetworkFaults(loss=0.2, reorder=0.2, seed=seed))
        for number in range(100):
            path.send(bytes([number]))
        assert path.dropped + len(arrived) in (99, 100)  # one may still be held back
        return arrived

    assert lost(3) == lost(3)
    assert lost(3) != lost(4)
    assert 60 < len(lost(3)) < 95


async def test_two_ports_hear_each_other_on_the_grid() -> None:
    ours, theirs = RtpPort("127.0.0.1"), RtpPort("127.0.0.1")
    try:
        theirs.connect(("127.0.0.1", ours.port), "g722", 101, NetworkFaults())
        sender = ours.connect(("127.0.0.1", theirs.port), "g722", 101, NetworkFaults())
        sender.start()
        saying = sender.say(at_rate(tone(440, 0.5), 8000, 16_000), 16_000)
        begun_s, ended_s = await saying.started, await saying.finished
        assert ended_s - begun_s == pytest.approx(0.48, abs=0.05)
        first_s = await theirs.heard.wait_for_audio(begun_s, 1)
        assert first_s == pytest.approx(begun_s, abs=0.02)
        assert theirs.heard.level_dbfs(first_s + 0.1, first_s + 0.4) == pytest.approx(-20, abs=0.5)

        await sender.press("5", 60).finished
        ours.send_garbage(20)
        stranger_speaks(("127.0.0.1", theirs.port), [RtpPacket(3, 1, 1, 1, b"gsm")])
        await theirs.heard.wait_until(lambda: theirs.heard.foreign > 0, 1)
        assert theirs.digits == ["5"]
        assert theirs.garbage >= 10
    finally:
        ours.close()
        theirs.close()


async def test_a_new_ssrc_and_dtx_show_on_the_wire() -> None:
    ours, theirs = RtpPort("127.0.0.1"), RtpPort("127.0.0.1")
    try:
        sender = ours.connect(("127.0.0.1", theirs.port), "ulaw", None, NetworkFaults())
        theirs.connect(("127.0.0.1", ours.port), "ulaw", None, NetworkFaults())
        sender.start()
        await theirs.heard.wait_until(lambda: len(theirs.heard.packets) >= 3, 1)
        sender.change_ssrc()
        await theirs.heard.wait_until(lambda: len(theirs.heard.order.sources) == 2, 1)
        sender.dtx = True
        await asyncio.sleep(0.03)
        before = len(theirs.heard.packets)
        await sender.say(tone(440, 0.1), 8000).finished
        await theirs.heard.wait_until(lambda: len(theirs.heard.packets) >= before + 5, 1)
        marked = Counter(packet.rtp.marker for packet in theirs.heard.packets)
        assert marked[True] == 3  # the first packet, the new source, the end of the silence
        assert len(theirs.heard.packets) == before + 5
    finally:
        ours.close()
        theirs.close()
