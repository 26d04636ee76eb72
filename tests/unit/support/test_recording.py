from __future__ import annotations

import time
import wave
from pathlib import Path

import pytest

from tests.support.recording import Heard, dbfs
from tests.support.rtp_packets import TICK, RtpPacket, codec_named
from tests.support.speech_samples import silence, tone

START_S = 100.0


def packets(
    pcm: bytes, *, sequence: int = 65_530, timestamp: int = 2**32 - 480
) -> list[RtpPacket]:
    codec = codec_named("ulaw")
    frames = [pcm[n : n + 320] for n in range(0, len(pcm), 320)]
    return [
        RtpPacket(
            0, (sequence + n) % 2**16, (timestamp + n * TICK) % 2**32, 7, codec.encode(frame)
        )
        for n, frame in enumerate(frames)
    ]


def played(sent: list[RtpPacket], delays_s: dict[int, float] | None = None) -> Heard:
    """Hear packets on a 20 ms grid, some of them late."""
    heard = Heard("ulaw")
    arrivals = [(START_S + 0.02 * n + (delays_s or {}).get(n, 0.0), p) for n, p in enumerate(sent)]
    for arrived_s, packet in sorted(arrivals, key=lambda pair: pair[0]):
        heard.add(packet, arrived_s)
    return heard


def test_begin_and_end_of_a_sound_are_found_to_5_ms() -> None:
    heard = played(packets(silence(0.515) + tone(440, 0.5) + silence(0.5)))
    assert heard.first_audio_after(START_S) == pytest.approx(START_S + 0.515, abs=0.0001)
    assert heard.last_audio_before(START_S + 2) == pytest.approx(START_S + 1.015, abs=0.0051)
    assert heard.first_audio_after(START_S + 1.02) is None
    assert heard.last_audio_before(START_S + 0.5) is None


def test_the_sound_is_rebuilt_whatever_the_network_did() -> None:
    pcm = tone(440, 1.0)
    heard = played(packets(pcm), {3: 0.05, 10: 0.03, 11: 0.045, 40: 0.1})
    expected = b"".join(codec_named("ulaw").decode(p.payload) for p in packets(pcm))
    assert heard.pcm(START_S, START_S + 1.0) == expected
    assert (heard.order.lost, heard.order.late, heard.order.duplicates) == (0, 3, 0)


def test_lost_late_and_duplicate_packets_are_counted() -> None:
    sent = packets(tone(440, 1.0))
    heard = played([*sent[:10], sent[9], *sent[12:]])
    assert (heard.order.lost, heard.order.duplicates) == (2, 1)


def test_a_lost_packet_is_a_hole_and_a_late_one_only_for_a_short_buffer() -> None:
    sent = packets(tone(440, 1.0))
    late = played(sent, {20: 0.06})
    end_s = START_S + 1.0
    assert late.holes(START_S, end_s, buffer_s=0.1) == []
    ((begin_s, length_s),) = late.holes(START_S, end_s, buffer_s=0.04)
    assert begin_s == pytest.approx(START_S + 0.4, abs=0.001)
    assert length_s == pytest.approx(0.02, abs=0.001)
    lost = Heard("ulaw")
    for number, packet in enumerate(sent):
        if number not in (30, 31):
            lost.add(packet, START_S + 0.02 * number)
    assert [round(length_s, 3) for _, length_s in lost.holes(START_S, end_s)] == [0.04]


def test_a_new_source_begins_a_new_stretch_on_the_same_time_line() -> None:
    first, second = packets(tone(440, 0.5)), packets(tone(880, 0.5), sequence=9, timestamp=5)
    heard = played(
        [*first, *(RtpPacket(0, p.sequence, p.timestamp, 8, p.payload) for p in second)]
    )
    assert heard.order.sources == [7, 8]
    assert heard.holes(START_S, START_S + 1.0) == []
    assert heard.level_dbfs(START_S + 0.5, START_S + 1.0) == pytest.approx(-20, abs=0.3)


def test_spacing_tells_the_longest_gap() -> None:
    heard = played(packets(tone(440, 1.0)), {20: 0.015})
    spacing = heard.spacing()
    assert spacing.count == 50
    assert spacing.p50_ms == pytest.approx(20, abs=0.01)
    assert spacing.max_ms == pytest.approx(35, abs=0.01)


def test_a_recording_is_saved_as_wav(tmp_path: Path) -> None:
    heard = played(packets(tone(440, 0.4)))
    heard.save(tmp_path / "heard.wav")
    with wave.open(str(tmp_path / "heard.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 3200)
        assert dbfs(file.readframes(3200)) == pytest.approx(-20, abs=0.3)


async def test_waiting_for_sound_and_for_silence_ends_with_its_time() -> None:
    heard = Heard("ulaw")
    now = time.monotonic()
    for number, packet in enumerate(packets(silence(0.1) + tone(440, 0.1) + silence(0.1))):
        heard.add(packet, now - 0.5 + 0.02 * number)
    assert await heard.wait_for_audio(now - 1, 1) == pytest.approx(now - 0.4, abs=0.001)
    assert await heard.wait_for_silence(0.05, 1) == pytest.approx(now - 0.3, abs=0.006)
    with pytest.raises(TimeoutError):
        await heard.wait_for_audio(now, 0.05)
