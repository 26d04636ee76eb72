from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign_ari.media import g711
from sovereign_ari.media.g722 import G722Decoder, G722Encoder
from sovereign_ari.media.pcm import (
    ALAW_8K,
    G722_16K,
    PCM_8K,
    PCM_16K,
    PCM_24K,
    ULAW_8K,
    AudioFormat,
    Encoding,
)
from sovereign_ari.media.transcode import Converter, decoder_for, encoder_for, silence_frame
from tests.unit.media.signals import from_pcm, level_db, sine, to_pcm, white_noise

FORMATS = [ULAW_8K, ALAW_8K, G722_16K, PCM_8K, PCM_16K, PCM_24K]
PAIRS = [(source, target) for source in FORMATS for target in FORMATS]
PCM_22K = AudioFormat(Encoding.PCM16, 22050)


def named(pair: tuple[AudioFormat, AudioFormat]) -> str:
    return "-".join(f"{item.encoding.value}{item.rate_hz}" for item in pair)


def encoded(wire: AudioFormat, hz: float = 440, seconds: float = 1.0) -> bytes:
    return encoder_for(wire).encode(to_pcm(sine(hz, wire.rate_hz, seconds)))


def frequency_hz(pcm: bytes, rate_hz: int) -> float:
    samples = from_pcm(pcm)[rate_hz // 10 :]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate_hz / len(samples))


@given(st.binary(min_size=256, max_size=256).map(bytes))
def test_g711_of_g711_is_itself(audio: bytes) -> None:
    ulaw = g711.pcm_to_ulaw(g711.ulaw_to_pcm(audio))
    # µ-law has two zeros; the encoder writes the positive one.
    assert ulaw == audio.replace(b"\x7f", b"\xff")
    assert g711.pcm_to_alaw(g711.alaw_to_pcm(audio)) == audio


def test_the_silence_bytes_are_the_quietest() -> None:
    assert g711.ulaw_to_pcm(g711.ULAW_SILENCE) == bytes(2)
    assert abs(int.from_bytes(g711.alaw_to_pcm(g711.ALAW_SILENCE), "little", signed=True)) <= 8
    assert silence_frame(ULAW_8K) == g711.ULAW_SILENCE * 160
    assert silence_frame(ALAW_8K) == g711.ALAW_SILENCE * 160
    assert silence_frame(PCM_16K) == bytes(640)
    assert len(silence_frame(G722_16K)) == 160


@pytest.mark.parametrize("said_before", [0.0, 0.5])
def test_g722_silence_sounds_silent_however_long(said_before: float) -> None:
    decoder = G722Decoder()
    decoder.decode(G722Encoder().encode(to_pcm(white_noise(16000, said_before, -20))))
    pcm = from_pcm(decoder.decode(silence_frame(G722_16K) * 500))
    assert np.abs(pcm[3200:]).max() <= 40


@given(st.lists(st.integers(0, 50), max_size=20))
def test_g722_does_not_care_for_chunks(sizes: list[int]) -> None:
    pcm = to_pcm(white_noise(16000, sum(sizes) / 16000, -20))
    encoder, decoder = G722Encoder(), G722Decoder()
    pieces, at = [], 0
    for size in sizes:
        pieces.append(encoder.encode(pcm[2 * at : 2 * (at + size)]))
        at += size
    audio = b"".join(pieces) + encoder.flush()
    whole = G722Encoder()
    assert audio == whole.encode(pcm) + whole.flush()
    assert len(audio) == (sum(sizes) + 1) // 2
    assert G722Decoder().decode(audio) == b"".join(
        decoder.decode(audio[i : i + 7]) for i in range(0, len(audio), 7)
    )


@pytest.mark.parametrize("pair", [*PAIRS, (PCM_22K, ULAW_8K), (PCM_22K, G722_16K)], ids=named)
def test_a_tone_keeps_its_pitch_level_and_length(pair: tuple[AudioFormat, AudioFormat]) -> None:
    source, target = pair
    converter = Converter(source, target)
    audio = converter.convert(encoded(source)) + converter.flush()
    pcm = decoder_for(target).decode(audio)
    assert frequency_hz(pcm, target.rate_hz) == pytest.approx(440, abs=2)
    settled = from_pcm(pcm)[target.rate_hz // 10 : -target.rate_hz // 10]
    assert level_db(settled) == pytest.approx(0, abs=0.5)
    assert target.seconds(len(audio)) == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("pair", PAIRS, ids=named)
@settings(max_examples=10)
@given(sizes=st.lists(st.integers(0, 333), min_size=1, max_size=6))
def test_the_chunks_do_not_matter(pair: tuple[AudioFormat, AudioFormat], sizes: list[int]) -> None:
    source, target = pair
    audio = encoded(source, seconds=0.05) + b"\x00"
    whole, pieces = Converter(source, target), Converter(source, target)
    expected = whole.convert(audio) + whole.flush()
    output, at = b"", 0
    while at < len(audio):
        for size in [*sizes, 1]:
            output += pieces.convert(audio[at : at + size])
            at += size
    assert output + pieces.flush() == expected


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_after_a_flush_a_converter_begins_anew(pair: tuple[AudioFormat, AudioFormat]) -> None:
    source, target = pair
    converter, audio = Converter(source, target), encoded(source, seconds=0.1)
    first = converter.convert(audio) + converter.flush()
    assert converter.convert(audio) + converter.flush() == first


def test_the_same_format_passes_through_untouched() -> None:
    audio = b"\x01\x02\x03"
    assert Converter(ULAW_8K, ULAW_8K).convert(audio) is audio
