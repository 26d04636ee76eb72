from __future__ import annotations

import audioop
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sovereign_ari.media.pcm import G722_16K, PCM_16K, ULAW_8K, AudioFormat
from sovereign_ari.media.playout import Playout
from sovereign_ari.media.transcode import silence_frame

LOUD = b"\x00\x80" * 80  # the two ends of the µ-law scale


def frame(index: int) -> bytes:
    return index.to_bytes(2, "big") * 80


def drain(playout: Playout) -> list[bytes]:
    return list(iter(playout.next_frame, None))


@given(chunks=st.lists(st.binary(max_size=500), max_size=20))
def test_no_byte_is_lost_or_reordered(chunks: list[bytes]) -> None:
    playout = Playout(ULAW_8K)
    for chunk in chunks:
        playout.put(chunk)
    playout.end_segment()
    frames = drain(playout)
    sent, said = b"".join(frames), b"".join(chunks)
    assert {len(frame) for frame in frames} <= {160}
    assert sent[: len(said)] == said
    assert set(sent[len(said) :]) <= {0xFF}
    assert len(sent) - len(said) < 160
    assert playout.segment_played_bytes == len(said)
    assert playout.idle


@pytest.mark.parametrize("wire", [ULAW_8K, G722_16K, PCM_16K])
def test_the_last_frame_is_filled_with_the_codecs_silence(wire: AudioFormat) -> None:
    playout = Playout(wire)
    playout.put(b"\x11" * 10)
    assert playout.next_frame() is None
    playout.end_segment()
    assert playout.next_frame() == b"\x11" * 10 + silence_frame(wire)[10:]


def test_seconds_and_bytes_follow_what_left() -> None:
    playout = Playout(ULAW_8K)
    playout.put(bytes(400))
    assert playout.queued_s == pytest.approx(0.050)
    playout.next_frame()
    assert playout.queued_s == pytest.approx(0.030)
    assert playout.segment_played_bytes == 160
    assert playout.played_s == pytest.approx(0.020)
    assert not playout.idle
    playout.end_segment()
    drain(playout)
    assert playout.segment_played_bytes == 400
    assert playout.played_s == pytest.approx(0.060)


def test_a_new_segment_counts_from_its_own_first_byte() -> None:
    playout = Playout(ULAW_8K)
    playout.put(bytes(170))
    playout.end_segment()
    playout.put(bytes(160))
    playout.next_frame()
    playout.next_frame()
    assert playout.segment_played_bytes == 0
    playout.next_frame()
    assert playout.segment_played_bytes == 160


def test_clearing_says_what_was_played_and_leaves_nothing_but_a_fade() -> None:
    playout = Playout(ULAW_8K)
    playout.put(LOUD * 10)
    for _ in range(3):
        playout.next_frame()
    assert playout.clear() == 480
    assert playout.queued_s == 0
    assert playout.idle
    fade = playout.next_frame()
    assert fade is not None
    levels = [audioop.rms(audioop.ulaw2lin(fade[at : at + 40], 2), 2) for at in (0, 40, 80, 120)]
    assert levels == sorted(levels, reverse=True)
    assert levels[3] < levels[0] / 4
    assert playout.next_frame() is None
    assert playout.segment_played_bytes == 480


def test_clearing_before_the_first_frame_sends_nothing() -> None:
    playout = Playout(ULAW_8K)
    playout.put(LOUD * 10)
    assert playout.clear() == 0
    assert playout.next_frame() is None


def test_what_is_put_after_clearing_is_played_from_its_start() -> None:
    playout = Playout(ULAW_8K)
    playout.put(LOUD * 5 + b"\x01" * 30)
    playout.pause()
    playout.clear()
    playout.put(frame(1) + frame(2))
    assert [playout.next_frame(), playout.next_frame()] == [frame(1), frame(2)]
    assert playout.segment_played_bytes == 320


def test_a_pause_fades_keeps_the_place_and_resumes_with_a_fade_in() -> None:
    playout = Playout(ULAW_8K)
    playout.put(LOUD * 5)
    playout.next_frame()
    playout.pause()
    fading = playout.next_frame()
    assert fading not in (None, LOUD)
    assert [playout.next_frame() for _ in range(4)] == [None] * 4
    assert playout.segment_played_bytes == 160
    playout.resume()
    rising = playout.next_frame()
    assert rising is not None
    assert audioop.rms(audioop.ulaw2lin(rising[:40], 2), 2) < audioop.rms(
        audioop.ulaw2lin(rising[120:], 2), 2
    )
    assert drain(playout) == [LOUD] * 3
    assert playout.segment_played_bytes == 800


def test_g722_pauses_without_a_fade() -> None:
    playout = Playout(G722_16K)
    playout.put(LOUD * 3)
    playout.next_frame()
    playout.pause()
    assert playout.next_frame() is None
    playout.resume()
    assert drain(playout) == [LOUD] * 2


def test_an_underrun_is_counted_only_within_a_begun_segment() -> None:
    playout = Playout(ULAW_8K)
    playout.next_frame()
    playout.put(bytes(100))
    playout.next_frame()
    assert playout.starved_frames == 0
    playout.put(bytes(60))
    for _ in range(4):
        playout.next_frame()
    assert (playout.underruns, playout.starved_frames) == (1, 3)
    playout.put(bytes(160))
    playout.end_segment()
    for _ in range(4):
        playout.next_frame()
    assert (playout.underruns, playout.starved_frames) == (1, 3)


def test_marks_are_reached_when_their_audio_left() -> None:
    playout = Playout(ULAW_8K)
    playout.put(bytes(100), mark="first")
    playout.put(bytes(100), mark="second")
    playout.put(bytes(200), mark="third")
    playout.end_segment(mark="end")
    reached = []
    for _ in range(3):
        assert playout.next_frame() is not None
        reached.append(playout.reached_marks())
    assert reached == [["first", "second"], ["third"], ["end"]]
    playout.end_segment(mark="again")
    assert playout.reached_marks() == ["again"]


def test_a_cleared_mark_is_never_reached() -> None:
    playout = Playout(ULAW_8K)
    playout.put(frame(1) * 2, mark="heard")
    playout.put(frame(2), mark="unheard")
    playout.next_frame()
    playout.clear()
    playout.put(frame(3) * 9)
    drain(playout)
    assert playout.reached_marks() == ["heard"]


class PlayoutAgainstAList(RuleBasedStateMachine):
    """The same calls on a `Playout` and on a plain list of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = Playout(G722_16K)  # without fades: frames leave as they are
        self.waiting = b""
        self.played_bytes = 0
        self.left = 0
        self.paused = False
        self.open = False
        self.next_byte = 0

    @rule(size=st.integers(0, 700))
    def put(self, size: int) -> None:
        if not self.open:
            # The new segment counts from behind whatever is still queued.
            self.open, self.played_bytes = True, -len(self.waiting)
        audio = bytes((self.next_byte + i) % 256 for i in range(size))
        self.next_byte += size
        self.playout.put(audio)
        self.waiting += audio

    @rule()
    def end_segment(self) -> None:
        self.open = False
        self.playout.end_segment()
        missing = -len(self.waiting) % 160
        self.waiting += silence_frame(G722_16K)[160 - missing :] if missing else b""

    @rule()
    def next_frame(self) -> None:
        expected = None
        if not self.paused and len(self.waiting) >= 160:
            expected, self.waiting = self.waiting[:160], self.waiting[160:]
            self.played_bytes += 160
            self.left += 1
        assert self.playout.next_frame() == expected

    @rule()
    def pause(self) -> None:
        self.paused = True
        self.playout.pause()

    @rule()
    def resume(self) -> None:
        self.paused = False
        self.playout.resume()

    @rule()
    def clear(self) -> None:
        played = self.playout.clear()
        if self.open:
            assert played == max(0, self.played_bytes)
        self.waiting, self.paused, self.open = b"", False, False

    @invariant()
    def counts_agree(self) -> None:
        assert self.playout.queued_s == pytest.approx(len(self.waiting) / 8000)
        assert self.playout.played_s == pytest.approx(self.left * 0.020)
        if self.open:
            assert self.playout.segment_played_bytes == max(0, self.played_bytes)


TestPlayoutAgainstAList = PlayoutAgainstAList.TestCase


@pytest.fixture
def restless_threads() -> Iterator[None]:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


@pytest.mark.usefixtures("restless_threads")
def test_a_frame_is_played_or_dropped_whatever_the_threads_do() -> None:
    playout, frames_each = Playout(G722_16K), 40
    claimed: list[int] = []
    stop = Event()

    def pace() -> list[bytes]:
        sent = []
        while not stop.is_set():
            sent += [piece for piece in [playout.next_frame()] if piece is not None]
        return sent

    with ThreadPoolExecutor(1) as pool:
        pacing = pool.submit(pace)
        # A busy machine may start the thread late: go on until it took its share.
        while len(claimed) < 200 or (sum(claimed) < 100 and len(claimed) < 100_000):
            first = len(claimed) * frames_each
            audio = (index.to_bytes(4, "big") * 40 for index in range(first, first + frames_each))
            playout.put(b"".join(audio))
            claimed.append(playout.clear() // 160)
        stop.set()
        sent = [int.from_bytes(piece[:4], "big") for piece in pacing.result()]
    assert sent == [n * frames_each + i for n, count in enumerate(claimed) for i in range(count)]
    assert len(sent) >= 100
