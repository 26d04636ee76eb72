from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.jitter import JitterBuffer
from sovereign_ari.media.pcm import G722_16K, ULAW_8K
from sovereign_ari.media.reframe import Frame
from sovereign_ari.media.rtp import RtpPacket

SSRC = 0xCAFE


def numbered(index: int, *, ssrc: int = SSRC, first: int = 65500, ms: int = 20) -> RtpPacket:
    """Packet `index` of a stream; its payload says which one it is."""
    ticks = ms * 8
    return RtpPacket(
        payload_type=0,
        sequence=(first + index) % 65536,
        timestamp=(2**32 - 800 + index * ticks) % 2**32,
        ssrc=ssrc,
        payload=index.to_bytes(2, "big") * (ticks // 2),
    )


def indices(frames: list[Frame]) -> list[int | None]:
    return [frame if frame is None else int.from_bytes(frame[:2], "big") for frame in frames]


def on_the_grid(buffer: JitterBuffer, order: list[int]) -> list[int | None]:
    """Push packets one per 20 ms, in the order given."""
    frames: list[Frame] = []
    for slot, index in enumerate(order):
        frames += buffer.push(numbered(index), 10.0 + slot * 0.020)
    return indices(frames + buffer.flush())


def test_a_packet_in_order_is_released_at_once() -> None:
    buffer = JitterBuffer(ULAW_8K)
    for index in range(200):
        frames = buffer.push(numbered(index), index * 0.020)
        assert indices(frames) == [index]
        assert buffer.due_s is None
    assert buffer.stats.received == 200
    assert buffer.stats.lost == buffer.stats.late == buffer.stats.duplicate == 0
    assert buffer.stats.pauses == 0
    assert buffer.stats.jitter_ms == pytest.approx(0, abs=1e-6)


def test_swapped_packets_come_out_in_order() -> None:
    buffer = JitterBuffer(ULAW_8K)
    assert indices(buffer.push(numbered(0), 0.0)) == [0]
    assert buffer.push(numbered(2), 0.020) == []
    assert indices(buffer.push(numbered(1), 0.025)) == [1, 2]
    assert buffer.stats.reordered == 1
    assert buffer.stats.lost == 0


def test_a_gap_is_given_up_when_its_wait_is_over() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    assert buffer.push(numbered(2), 0.040) == []
    due_s = buffer.due_s
    assert due_s is not None
    assert 0.040 < due_s <= 0.100
    assert buffer.poll(due_s - 0.001) == []
    assert indices(buffer.poll(due_s + 0.0001)) == [None, 2]
    assert buffer.due_s is None
    assert (buffer.stats.lost, buffer.stats.concealed) == (1, 1)


def test_a_late_packet_is_counted_dropped_and_makes_the_next_wait_longer() -> None:
    buffer = JitterBuffer(ULAW_8K)
    for index in range(500):
        buffer.push(numbered(index), index * 0.020)
    before_s = buffer.wait_s
    buffer.push(numbered(501), 501 * 0.020)
    buffer.poll(501 * 0.020 + 0.060)
    assert buffer.push(numbered(500), 501 * 0.020 + 0.070) == []
    assert buffer.stats.late == 1
    assert buffer.stats.duplicate == 0
    assert buffer.wait_s > before_s + 0.010


def test_a_duplicate_is_dropped_before_and_after_its_turn() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    assert buffer.push(numbered(0), 0.001) == []
    assert buffer.push(numbered(2), 0.020) == []
    assert buffer.push(numbered(2), 0.021) == []
    assert indices(buffer.push(numbered(1), 0.022)) == [1, 2]
    assert buffer.stats.duplicate == 2


def test_the_wait_follows_the_jitter_and_never_exceeds_60_ms() -> None:
    calm, wild = JitterBuffer(ULAW_8K), JitterBuffer(ULAW_8K)
    dice = random.Random(7)
    for index in range(1500):
        calm.push(numbered(index), index * 0.020)
        wild.push(numbered(index), index * 0.020 + dice.uniform(0, 0.200))
    assert calm.wait_s < 0.002
    assert wild.wait_s == 0.060
    assert wild.stats.jitter_ms > 20


def test_a_new_sender_is_followed_at_once_and_its_numbers_start_anew() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    buffer.push(numbered(2), 0.020)
    frames = buffer.push(numbered(70, ssrc=7, first=30_000), 0.040)
    assert indices(frames) == [None, 2, 70]
    assert buffer.stats.ssrc_changes == 1
    assert buffer.stats.restarts == 0


def test_a_straggler_of_the_old_sender_does_not_bring_it_back() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    buffer.push(numbered(50, ssrc=7), 0.020)
    assert buffer.push(numbered(1), 0.030) == []
    assert indices(buffer.push(numbered(51, ssrc=7), 0.040)) == [51]
    assert buffer.stats.ssrc_changes == 1


def test_the_old_sender_is_believed_when_it_insists() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    buffer.push(numbered(50, ssrc=7), 0.020)
    assert buffer.push(numbered(8), 0.040) == []
    assert indices(buffer.push(numbered(9), 0.060)) == [8, 9]
    assert buffer.stats.ssrc_changes == 2


@pytest.mark.parametrize("jump", [5000, -5000, 101, -26, 32767])
def test_a_jump_is_believed_from_its_second_packet(jump: int) -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(9999), 0.0)
    assert buffer.push(numbered(10_000 + jump), 0.020) == []
    assert indices(buffer.push(numbered(10_001 + jump), 0.040)) == [10_000 + jump, 10_001 + jump]
    assert indices(buffer.push(numbered(10_002 + jump), 0.060)) == [10_002 + jump]
    assert buffer.stats.restarts == 1


def test_one_stray_packet_does_not_disturb_the_stream() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    assert buffer.push(numbered(30_000), 0.010) == []
    assert indices(buffer.push(numbered(1), 0.020)) == [1]
    assert buffer.stats.restarts == 0


def test_a_pause_of_the_sender_is_no_loss() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    after = RtpPacket(0, (65500 + 1) % 65536, 40_000, SSRC, b"\x00\x01" * 80, marker=True)
    assert indices(buffer.push(after, 5.0)) == [1]
    assert buffer.stats.pauses == 1
    assert buffer.stats.lost == 0


def test_a_short_last_packet_does_not_delay_what_follows_the_pause() -> None:
    buffer = JitterBuffer(ULAW_8K)
    assert buffer.push(RtpPacket(0, 1, 0, SSRC, b"\x01" * 40), 0.0) == []
    frames = buffer.push(RtpPacket(0, 2, 8000, SSRC, b"\x02" * 160), 1.0)
    assert frames == [b"\x01" * 40 + b"\xff" * 120, b"\x02" * 160]


def test_a_telephone_event_takes_its_place_without_becoming_audio() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    event = RtpPacket(101, (65500 + 1) % 65536, 160, SSRC, b"\x05\x0a\x00\xa0")
    assert buffer.push(event, 0.020) == []
    assert indices(buffer.push(numbered(2), 0.040)) == [2]
    assert buffer.stats.other == 1
    assert buffer.stats.lost == 0


@pytest.mark.parametrize("ms", [10, 20, 30, 40, 60])
def test_packets_of_other_lengths_become_whole_frames(ms: int) -> None:
    audio = bytes(index % 251 for index in range(160 * 30))
    step = ms * 8
    buffer, frames = JitterBuffer(G722_16K), list[Frame]()
    for index in range(len(audio) // step):
        payload = audio[index * step : (index + 1) * step]
        packet = RtpPacket(9, index, index * step, SSRC, payload)
        frames += buffer.push(packet, index * ms / 1000)
    assert all(frame is not None and len(frame) == 160 for frame in frames)
    assert b"".join(frame for frame in frames if frame) == audio[: len(frames) * 160]
    assert len(frames) == 30
    assert buffer.stats.pauses == 0


@pytest.mark.parametrize(("ms", "expected"), [(10, 30), (20, 30), (30, 30), (40, 30), (60, 30)])
def test_a_lost_packet_of_any_length_keeps_the_time(ms: int, expected: int) -> None:
    buffer, frames = JitterBuffer(ULAW_8K), list[Frame]()
    for index in range(600 // ms):
        if index not in (4, 7):
            frames += buffer.push(numbered(index, ms=ms), index * ms / 1000)
            frames += buffer.poll(index * ms / 1000 + 0.061)
    assert len(frames) == expected
    assert buffer.stats.lost == 2


def test_an_endless_payload_is_not_audio() -> None:
    buffer = JitterBuffer(ULAW_8K)
    buffer.push(numbered(0), 0.0)
    assert buffer.push(RtpPacket(0, (65500 + 1) % 65536, 0, SSRC, bytes(60_000)), 0.020) == []
    assert indices(buffer.push(numbered(2), 0.040)) == [2]


@dataclass(frozen=True)
class Fate:
    """What the network does to one packet."""

    copies: int
    delay_ms: int


fates = st.lists(
    st.builds(Fate, copies=st.integers(0, 3), delay_ms=st.integers(0, 300)), max_size=120
)


@given(fates)
def test_any_network_delivers_each_packet_at_most_once_and_in_order(network: list[Fate]) -> None:
    arrivals = sorted(
        (index * 20 + (copy + 1) * fate.delay_ms, index)
        for index, fate in enumerate(network)
        for copy in range(fate.copies)
        if (copy + 1) * fate.delay_ms < 450
    )
    buffer, frames = JitterBuffer(ULAW_8K), list[Frame]()
    for at_ms, index in arrivals:
        frames += buffer.poll(at_ms / 1000)
        frames += buffer.push(numbered(index), at_ms / 1000)
    frames += buffer.flush()
    got = [index for index in indices(frames) if index is not None]
    stats = buffer.stats
    assert got == sorted(set(got))
    assert stats.received == len(arrivals) == len(got) + stats.late + stats.duplicate
    assert len(frames) == len(got) + stats.concealed
    assert len(frames) <= len(network)
    if got:
        assert len(frames) == got[-1] - got[0] + 1  # what is lost keeps its time


@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535), st.sampled_from([1, 2, 3]), st.sampled_from([0, 13, 101])
        ),
        max_size=80,
    )
)
def test_no_packet_whatever_breaks_it_or_waits_for_ever(
    packets: list[tuple[int, int, int]],
) -> None:
    buffer, frames = JitterBuffer(ULAW_8K), list[Frame]()
    for at, (sequence, ssrc, kind) in enumerate(packets):
        packet = RtpPacket(kind, sequence, sequence * 160 % 2**32, ssrc, bytes(160))
        frames += buffer.push(packet, at * 0.020)
    frames += buffer.poll(len(packets) * 0.020 + 0.061)
    assert buffer.due_s is None
    assert len([f for f in frames if f is not None]) <= len(packets)
    assert len(frames) <= len(packets) + buffer.stats.concealed


def test_five_per_cent_loss_is_concealed_frame_for_frame() -> None:
    dice = random.Random(3)
    order = [index for index in range(1000) if dice.random() >= 0.05 or index in (0, 999)]
    buffer = JitterBuffer(ULAW_8K)
    heard = on_the_grid(buffer, order)
    assert heard == [index if index in set(order) else None for index in range(1000)]
    assert buffer.stats.lost == 1000 - len(order)
