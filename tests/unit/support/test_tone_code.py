from __future__ import annotations

import audioop
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tone_code import LITERAL_BYTES, SYMBOL_S, decode, encode, literal

FRAME_BYTES = 160


@given(st.text(max_size=LITERAL_BYTES))
def test_any_short_text_comes_back(text: str) -> None:
    assert decode(encode(text, 8000), 8000) == [literal(text)]


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000])
def test_texts_come_back_in_order_at_every_rate(rate_hz: int) -> None:
    texts = ["hello", "hello", "aaabbb", "42"]
    pcm = b"".join(encode(text, rate_hz) + bytes(rate_hz // 5) for text in texts)
    assert decode(pcm, rate_hz) == texts


def test_a_long_text_lasts_sixty_ms_per_character_and_is_reported_once() -> None:
    text = "I can tell you our opening hours, or make an appointment for you. " * 2
    pcm = encode(text, 8000)
    assert len(pcm) / 16000 == pytest.approx(len(text) * SYMBOL_S, rel=0.15)
    assert decode(pcm, 8000) == ["I can tell you our openi"]


def test_a_long_text_cut_after_its_first_copy_is_still_read() -> None:
    pcm = encode("word " * 40, 8000)
    assert decode(pcm[: 16000 * 3], 8000) == [literal("word " * 40)]


def test_a_text_cut_before_its_end_is_not_reported() -> None:
    pcm = encode("hello there", 8000)
    assert decode(pcm[: len(pcm) // 2], 8000) == []


@pytest.mark.parametrize("companding", ["ulaw", "alaw"])
@pytest.mark.parametrize("concealment", ["repeat", "silence", "drop"])
def test_survives_g711_and_a_lost_packet_in_twenty(companding: str, concealment: str) -> None:
    generator = random.Random(7)
    down, up, silence = (
        (audioop.lin2ulaw, audioop.ulaw2lin, b"\xff")
        if companding == "ulaw"
        else (audioop.lin2alaw, audioop.alaw2lin, b"\xd5")
    )
    for number in range(20):
        text = f"message number {number}"
        wire = down(encode(text, 8000, copies=2), 2)
        last, received = silence * FRAME_BYTES, bytearray()
        instead = {"silence": last, "drop": b""}
        for start in range(0, len(wire), FRAME_BYTES):
            frame = wire[start : start + FRAME_BYTES]
            if generator.random() < 0.05:
                frame = instead.get(concealment, last)
            received += frame
            last = frame or last
        assert decode(up(bytes(received), 2), 8000) == [text]


@given(st.binary(max_size=4000).filter(lambda data: len(data) % 2 == 0))
def test_noise_says_nothing(noise: bytes) -> None:
    assert decode(noise, 8000) == []
