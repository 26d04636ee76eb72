"""Many streams judged together are judged as each would be alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign_ari.media import silero
from sovereign_ari.media.g711 import ulaw_to_pcm
from sovereign_ari.media.resample import Resampler
from sovereign_ari.media.silero import Silero, judge
from tests.unit.media.signals import SPEECH, to_pcm, white_noise

SOUNDS = [
    *(ulaw_to_pcm((SPEECH / name).read_bytes()) for name in ("espeak.ulaw", "flite.ulaw")),
    to_pcm(white_noise(8000, 3, -20)),
]
WIDE = [Resampler(8000, 16000).process(sound) for sound in SOUNDS]


def frame(rate_hz: int, which: int, number: int) -> bytes:
    sound, size = (SOUNDS if rate_hz == 8000 else WIDE)[which], rate_hz // 50 * 2
    at = number * size % (len(sound) - size)
    return sound[at : at + size]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2), st.integers(0, 9)), max_size=7))
@settings(max_examples=10)
def test_a_batch_gives_each_stream_the_probabilities_of_judging_it_alone(
    streams: list[tuple[bool, int, int]],
) -> None:
    rates = [16000 if wide else 8000 for wide, _, _ in streams]
    alone, together = [Silero(rate) for rate in rates], [Silero(rate) for rate in rates]
    for number in range(60):
        asked = []
        for index, (_, which, skips) in enumerate(streams):
            pcm = frame(rates[index], which, number)
            if number % 20 < skips:
                alone[index].skip(pcm)
                together[index].skip(pcm)
            else:
                alone[index].hear(pcm)
                together[index].take(pcm)
                asked.append(together[index])
        judge(asked)
        assert not any(one.is_due for one in asked)
        assert [one.probability for one in together] == pytest.approx(
            [one.probability for one in alone], abs=1e-4
        )


def test_a_batch_is_one_run_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    network = silero.network()

    class Counting:
        def run(self, names: None, inputs: dict[str, np.ndarray]) -> object:
            runs.append(len(inputs["input"]))
            return network.run(names, inputs)

    monkeypatch.setattr(silero, "network", Counting)
    streams = [Silero(8000) for _ in range(20)]
    for stream in streams:
        stream.take(frame(8000, 0, 10) * 2)
    judge(streams)
    assert runs == [20]
    judge(streams)
    assert runs == [20], "nothing waits any more"
