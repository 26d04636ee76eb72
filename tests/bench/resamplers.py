"""Streaming resamplers side by side: python -m tests.bench.resamplers

Each gets 20 ms at a time, as a call does. *Lag*: how much of the sound that has been put in has
not come out, after each 20 ms, plus what the filter delays what does come out: least and most.
*Burst*: the most that comes out at once, beyond the 20 ms that went in. *Alias*: the strongest
tone at or above 1.1 of the lower Nyquist frequency that folds into (or shows up as an image in)
what comes out. *Edge*: the level at 3.4 kHz, the end of the telephone band. *Cost* per 20 ms.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
import samplerate
import soxr
from numpy.typing import NDArray

from sovereign_ari.media.resample import Resampler

Samples = NDArray[np.float64]
Convert = Callable[[Samples], Samples]
Maker = Callable[[int, int], Convert]

RATIOS = [(8000, 16000), (16000, 8000), (24000, 8000), (24000, 16000), (22050, 8000)]
SECONDS = 3


def own(source_hz: int, target_hz: int) -> Convert:
    resampler = Resampler(source_hz, target_hz)

    def convert(chunk: Samples) -> Samples:
        return np.frombuffer(resampler.process(as_int16(chunk).tobytes()), "<i2").astype(float)

    return convert


def soxr_stream(*, vr: bool) -> Maker:
    def make(source_hz: int, target_hz: int) -> Convert:
        stream = soxr.ResampleStream(source_hz, target_hz, 1, dtype="int16", vr=vr)
        return lambda chunk: np.asarray(stream.resample_chunk(as_int16(chunk)), dtype=float)

    return make


def libsamplerate(kind: str) -> Maker:
    def make(source_hz: int, target_hz: int) -> Convert:
        resampler = samplerate.Resampler(kind, channels=1)
        ratio = target_hz / source_hz

        def convert(chunk: Samples) -> Samples:
            output = resampler.process((chunk / 32768).astype(np.float32), ratio)
            return np.asarray(output, dtype=float) * 32768

        return convert

    return make


MAKERS: dict[str, Maker] = {
    "own polyphase filter": own,
    "soxr, default": soxr_stream(vr=False),
    "soxr, vr=True": soxr_stream(vr=True),
    "samplerate, sinc_fastest": libsamplerate("sinc_fastest"),
    "samplerate, sinc_medium": libsamplerate("sinc_medium"),
}


def as_int16(chunk: Samples) -> NDArray[np.int16]:
    return chunk.astype(np.int16)


def streamed(convert: Convert, samples: Samples, source_hz: int) -> list[Samples]:
    step = source_hz // 50
    return [convert(samples[at : at + step]) for at in range(0, len(samples) // step * step, step)]


def sine(hz: float, rate_hz: int) -> Samples:
    wave: Samples = 30_000 * np.sin(2 * np.pi * hz * np.arange(rate_hz * SECONDS) / rate_hz)
    return wave


def filter_delay_s(make: Maker, source_hz: int, target_hz: int) -> float:
    """Where a click comes out, counted in output samples."""
    click = np.zeros(source_hz * SECONDS)
    click[source_hz] = 30_000
    output = np.concatenate(streamed(make(source_hz, target_hz), click, source_hz))
    weights = output**2
    return float(np.sum(np.arange(len(output)) * weights) / weights.sum() / target_hz) - 1.0


def timing_ms(make: Maker, source_hz: int, target_hz: int) -> tuple[float, float, float]:
    """Least and most lag, and the largest burst."""
    delay_s = filter_delay_s(make, source_hz, target_hz)
    chunks = streamed(make(source_hz, target_hz), sine(440, source_hz), source_hz)
    made_s = np.cumsum([len(chunk) for chunk in chunks]) / target_hz
    step_s = (source_hz // 50) / source_hz
    put_s = np.arange(1, len(chunks) + 1) * step_s
    lags_s = (put_s - made_s + delay_s)[25:]
    burst_s = max(len(chunk) for chunk in chunks[25:]) / target_hz - step_s
    return 1000 * float(lags_s.min()), 1000 * float(lags_s.max()), 1000 * burst_s


def settled(make: Maker, hz: float, source_hz: int, target_hz: int) -> Samples:
    output = np.concatenate(streamed(make(source_hz, target_hz), sine(hz, source_hz), source_hz))
    return output[target_hz // 2 : -target_hz // 2]


def spectrum(samples: Samples, rate_hz: int) -> tuple[Samples, Samples]:
    """Amplitudes of sines, and their frequencies."""
    window = np.blackman(len(samples))
    amplitudes = np.abs(np.fft.rfft(samples * window)) * 2 / window.sum()
    return amplitudes, np.asarray(np.fft.rfftfreq(len(samples), 1 / rate_hz), dtype=float)


def alias_db(make: Maker, source_hz: int, target_hz: int) -> float:
    nyquist_hz = min(source_hz, target_hz) / 2
    worst = 0.0
    for share in (1.1, 1.25, 1.5, 1.75):
        if source_hz > target_hz:
            hz = share * nyquist_hz
            if hz >= source_hz / 2:
                continue
            amplitudes, _ = spectrum(settled(make, hz, source_hz, target_hz), target_hz)
        else:
            hz = (2 - share) * nyquist_hz
            amplitudes, at_hz = spectrum(settled(make, hz, source_hz, target_hz), target_hz)
            amplitudes = amplitudes[at_hz > nyquist_hz * 1.01]
        worst = max(worst, float(amplitudes.max()))
    return 20 * float(np.log10(max(worst, 1e-3) / 30_000))


def edge_db(make: Maker, source_hz: int, target_hz: int) -> float:
    amplitudes, _ = spectrum(settled(make, 3400, source_hz, target_hz), target_hz)
    return 20 * float(np.log10(amplitudes.max() / 30_000))


def cost_us(make: Maker, source_hz: int, target_hz: int) -> float:
    convert, chunk = make(source_hz, target_hz), sine(440, source_hz)[: source_hz // 50]
    best_s = np.inf
    for _ in range(10):
        started_s = perf_counter()
        for _ in range(200):
            convert(chunk)
        best_s = min(best_s, (perf_counter() - started_s) / 200)
    return float(best_s) * 1e6


def main() -> None:
    print(f"{'':26} {'lag ms':>15} {'burst ms':>9} {'alias dB':>9} {'edge dB':>8} {'us':>7}")
    for ratio in RATIOS:
        print("{} to {} Hz".format(*ratio))
        for name, make in MAKERS.items():
            least, most, burst = timing_ms(make, *ratio)
            print(
                f"  {name:24} {least:6.1f} .. {most:5.1f} {burst:9.1f}"
                f" {alias_db(make, *ratio):9.0f} {edge_db(make, *ratio):8.1f}"
                f" {cost_us(make, *ratio):7.1f}"
            )


if __name__ == "__main__":
    main()
