"""What each step of the media path costs: python -m tests.bench.media_costs

Per 20 ms frame or packet unless it says otherwise; the best of five runs, in microseconds, and
the share of a core that it takes at 50 per second.
"""

from __future__ import annotations

import audioop
import platform
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from timeit import repeat

import numpy as np

from sovereign_ari.media.ambience import Ambience
from sovereign_ari.media.ambience_clips import clip_loop
from sovereign_ari.media.conceal import Concealer
from sovereign_ari.media.g711 import pcm_to_ulaw, ulaw_to_pcm
from sovereign_ari.media.g722 import G722Decoder, G722Encoder
from sovereign_ari.media.hearing import Hearing
from sovereign_ari.media.jitter import JitterBuffer
from sovereign_ari.media.ledger import SpokenLedger
from sovereign_ari.media.pcm import G722_16K, PCM_16K, PCM_24K, ULAW_8K, AudioFormat
from sovereign_ari.media.playout import Playout
from sovereign_ari.media.resample import Resampler
from sovereign_ari.media.rtp import RtpPacket, RtpStream
from sovereign_ari.media.silero import judge
from sovereign_ari.media.transcode import Converter
from sovereign_ari.media.vad import VoiceActivity

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "espeak.ulaw"
AGENT = SPEECH.with_name("flite.ulaw")
RUNS = 5
FRAMES = 16
RATES_HZ = [
    (8000, 16000),
    (16000, 8000),
    (24000, 8000),
    (24000, 16000),
    (22050, 8000),
    (22050, 16000),
]

Operation = Callable[[], object]


def wire_operations(frame: bytes) -> Iterator[tuple[str, Operation]]:
    stream = RtpStream(0, 1, 2, 3)
    datagram = stream.next(frame)
    yield "RTP build", lambda: stream.next(frame)
    yield "RTP parse", lambda: RtpPacket.parse(datagram)
    in_order = cycle([RtpPacket(0, n, n * 160, 7, frame) for n in range(1 << 16)])
    buffer = JitterBuffer(ULAW_8K)
    yield "jitter buffer, packet in order", lambda: buffer.push(next(in_order), 0.0)
    concealer = Concealer(ULAW_8K)
    yield "concealment, nothing lost", lambda: concealer.fill(frame)

    def lose_one() -> None:
        concealer.fill(frame)
        concealer.fill(None)

    yield "concealment, a lost frame, ulaw", lose_one
    playout = Playout(ULAW_8K)

    def put_and_play() -> None:
        playout.put(frame)
        playout.next_frame()

    yield "playout, put and play a frame", put_and_play
    yield "playout, silence", Playout(ULAW_8K).next_frame


def sound_operations(ulaw: bytes, pcm: bytes, pcm_16k: bytes) -> Iterator[tuple[str, Operation]]:
    yield "ulaw to PCM", lambda: ulaw_to_pcm(ulaw)
    yield "PCM to ulaw", lambda: pcm_to_ulaw(pcm)
    g722 = G722Encoder().encode(pcm_16k)
    yield "G.722 to PCM", partial(G722Decoder().decode, g722)
    yield "PCM to G.722", partial(G722Encoder().encode, pcm_16k)
    yield "voice activity, 8 kHz", partial(VoiceActivity(8000).is_speech, pcm)
    yield "voice activity, 16 kHz", partial(VoiceActivity(16000).is_speech, pcm_16k)
    for source_hz, target_hz in RATES_HZ:
        chunk = (pcm * 3)[: source_hz // 50 * 2]
        name = f"resample {source_hz} to {target_hz}"
        yield name, partial(Resampler(source_hz, target_hz).process, chunk)
    chunk = (pcm * 3)[:960]
    for wire in (ULAW_8K, G722_16K):
        name = f"convert PCM 24 kHz to {wire.encoding.value}"
        yield name, partial(Converter(PCM_24K, wire).convert, chunk)
        yield f"ledger, note a frame of {wire.encoding.value}", noting(wire, ulaw)
    ledger = SpokenLedger(ULAW_8K)
    for _ in range(5):
        ledger.begin("This is a sentence of ordinary length, spoken by an agent.")
        ledger.extend(ulaw * 150)
        ledger.end()
    yield "ledger, what was heard, 5 sentences", lambda: ledger.heard(100_000)


def hearing_operations(speech: bytes, agent: bytes) -> Iterator[tuple[str, Operation]]:
    """All that is done to know what a caller's frame is: one call alone, and of some at once."""
    noise = pcm_to_ulaw(white_noise(-38, 8000 * 10))
    callers = {
        "silence": (pcm_to_ulaw(bytes(160_000)), b""),
        "noise": (noise, b""),
        "speech": (speech, b""),
        "silence, the agent speaks": (pcm_to_ulaw(bytes(160_000)), agent),
        "speech over the agent": (speech, agent),
        "faint speech over the agent": (quieter(speech), agent),
    }
    for name, (heard, sent) in callers.items():
        for calls in (1, 4, 16):
            yield f"hearing {calls}, {name}", hearing(calls, frames_of(heard), frames_of(sent))


def hearing(calls: int, heard: list[bytes], sent: list[bytes]) -> Operation:
    """Sixteen frames, of so many calls, whose network is asked together."""
    ears = [Hearing(ULAW_8K, ULAW_8K) for _ in range(calls)]
    left: list[list[bytes | None]] = [[frame] for frame in sent] or [[None]]
    moments = cycle(zip(heard, cycle(left)))

    def listen() -> None:
        for _ in range(FRAMES // calls):
            frame, gone = next(moments)
            judge([one.stream for one in ears if one.listen(frame, gone)])
            for one in ears:
                one.verdict()

    return listen


def frames_of(audio: bytes) -> list[bytes]:
    return [audio[at : at + 160] for at in range(0, len(audio) - 159, 160)]


def quieter(ulaw: bytes) -> bytes:
    return pcm_to_ulaw(audioop.mul(ulaw_to_pcm(ulaw), 2, 10 ** (-18 / 20)))


def white_noise(dbfs: float, samples: int) -> bytes:
    noise = np.random.default_rng(3).normal(0, 32768 * 10 ** (dbfs / 20), samples)
    return noise.astype("<i2").tobytes()


def room_operations(ulaw: bytes, pcm_16k: bytes) -> Iterator[tuple[str, Operation]]:
    for wire, voice in ((ULAW_8K, ulaw), (PCM_16K, pcm_16k)):
        loop = clip_loop("forest", wire.rate_hz)
        name = f"background, {wire.encoding.value}"
        yield f"{name}, in silence", settled(Ambience(loop, 0.3, wire), None)
        yield f"{name}, under speech", settled(Ambience(loop, 0.3, wire), voice)
        turns, gliding = cycle([voice, None, None]), Ambience(loop, 0.3, wire)
        yield f"{name}, on its way", partial(lambda g, t: g.frame(next(t)), gliding, turns)


def settled(room: Ambience, voice: bytes | None) -> Operation:
    for _ in range(10):
        room.frame(voice)
    return lambda: room.frame(voice)


def noting(wire: AudioFormat, audio: bytes) -> Operation:
    ledger = SpokenLedger(wire)
    ledger.begin("Any sentence.")
    return lambda: ledger.extend(audio[: wire.frame_bytes])


def hearing_us(operation: Operation) -> float:
    """Per frame and call, of enough frames for all sounds of a sample."""
    number = 25
    return min(repeat(operation, number=number, repeat=RUNS)) / number / FRAMES * 1e6


def cost_us(operation: Operation) -> float:
    number = 200 if repeat(operation, number=20, repeat=1)[0] > 0.001 else 5000
    return min(repeat(operation, number=number, repeat=RUNS)) / number * 1e6


def main() -> None:
    speech = SPEECH.read_bytes()
    ulaw = speech[8000:8160]
    pcm = ulaw_to_pcm(ulaw)
    pcm_16k = Resampler(8000, 16000).process(pcm + pcm)[:640]
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print(f"{'operation':42} {'us':>8} {'% of a core':>12}")
    operations = [
        *wire_operations(ulaw),
        *sound_operations(ulaw, pcm, pcm_16k),
        *room_operations(ulaw, pcm_16k),
    ]
    costs = [(name, cost_us(operation)) for name, operation in operations]
    agent = AGENT.read_bytes()
    costs += [(name, hearing_us(all_of)) for name, all_of in hearing_operations(speech, agent)]
    for name, us in costs:
        print(f"{name:42} {us:8.2f} {us * 50 / 1e4:12.3f}")


if __name__ == "__main__":
    main()
