"""Names and help texts of the controller's metrics, and how they are filled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sovereign_ari.domain.records import CallClosed, CallNote, JournalEntry, TurnRecord

_LATENCY_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0, 2.0, 4.0, 8.0)
_LAG_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)

_STAGES: Mapping[str, tuple[str, str]] = {
    "end_of_turn": ("user_stopped_ms", "turn_ended_ms"),
    "stt": ("user_stopped_ms", "stt_final_ms"),
    "llm": ("turn_ended_ms", "llm_first_token_ms"),
    "sentence": ("llm_first_token_ms", "first_sentence_ms"),
    "tts": ("first_sentence_ms", "tts_first_byte_ms"),
    "playout": ("tts_first_byte_ms", "first_packet_ms"),
    "voice_to_voice": ("user_stopped_ms", "first_packet_ms"),
}
"""Stages of a turn, as the two offsets between which each lies."""


_RESILIENCE = frozenset({"provider_retry", "provider_fallback", "provider_hedge", "circuit_open"})
"""Notes on a timeline that are counted as well."""


class _Circuits(Collector):
    """Reads the states of circuits when they are asked for."""

    def __init__(self, read: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        family = GaugeMetricFamily(
            "sovereign_provider_circuit",
            "Whether a provider is passed over: 0 no, 1 being tried again, 2 yes. Of several"
            " accounts, the worst.",
            labels=("kind", "provider"),
        )
        for (kind, label), value in self._read().items():
            family.add_metric((kind, label), value)
        yield family


class ControllerMetrics:
    """What a controller counts. One registry per process."""

    TYPE = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls_ended = Counter(
            "sovereign_calls_ended",
            "Calls that ended, by status and reason.",
            ["status", "end_reason"],
            registry=self.registry,
        )
        self.turns = Counter("sovereign_turns", "Turns answered.", registry=self.registry)
        self.interruptions = Counter(
            "sovereign_interruptions", "Replies that the caller cut.", registry=self.registry
        )
        self.stage_s = Histogram(
            "sovereign_turn_stage_seconds",
            "Time spent in each stage of a turn.",
            ["stage"],
            buckets=_LATENCY_S,
            registry=self.registry,
        )
        self.resilience = Counter(
            "sovereign_provider_resilience",
            "Times that a provider was asked again, replaced, doubled or passed over, by the note"
            " on the call's timeline.",
            ["note", "kind", "provider"],
            registry=self.registry,
        )
        self.assistant_requests = Counter(
            "sovereign_assistant_requests",
            "Times that an integrator was asked who takes a call, by what came of it.",
            ["outcome"],
            registry=self.registry,
        )
        self.packets = Counter(
            "sovereign_rtp_packets",
            "Packets of callers' audio of ended calls, by what became of them.",
            ["fate"],
            registry=self.registry,
        )
        self.jitter_ms = Histogram(
            "sovereign_rtp_jitter_milliseconds",
            "Interarrival jitter at the end of each call (RFC 3550 section 6.4.1).",
            buckets=(0.5, 1, 2, 5, 10, 20, 40, 80),
            registry=self.registry,
        )
        self.underruns = Counter(
            "sovereign_underruns",
            "Times that a reply ran dry while the caller listened.",
            registry=self.registry,
        )
        self.loop_lag_s = Histogram(
            "sovereign_event_loop_lag_seconds",
            "How late the event loop serves a timer.",
            buckets=_LAG_S,
            registry=self.registry,
        )

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Export a number that is read when it is asked for, e.g. the depth of a queue."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def watch_circuits(self, read: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        """Export the states of circuits by kind and provider: 0 closed, 1 half open, 2 open."""
        self.registry.register(_Circuits(read))

    def exposition(self) -> bytes:
        """Write everything in Prometheus' text format, of content type `TYPE`."""
        return generate_latest(self.registry)

    def count(self, entry: JournalEntry) -> None:
        """Count what a call posted to its journal."""
        if isinstance(entry, TurnRecord):
            self._count_turn(entry)
        elif isinstance(entry, CallClosed):
            self.calls_ended.labels(entry.status, entry.end_reason).inc()
            self._count_media(entry.media)
        elif isinstance(entry, CallNote) and entry.kind in _RESILIENCE:
            facts = entry.detail
            self.resilience.labels(entry.kind, facts["kind"], facts["from"]).inc()
        elif isinstance(entry, CallNote) and entry.kind == "assistant_request":
            self.assistant_requests.labels(entry.detail["outcome"]).inc()

    def _count_turn(self, turn: TurnRecord) -> None:
        if turn.reply_ended_ms is None:
            return  # not over yet
        self.turns.inc()
        self.interruptions.inc(turn.interrupted)
        for stage, (begin, end) in _STAGES.items():
            began_ms, ended_ms = getattr(turn, begin), getattr(turn, end)
            if began_ms is not None and ended_ms is not None:
                self.stage_s.labels(stage).observe(max(0, ended_ms - began_ms) / 1000)

    def _count_media(self, media: Mapping[str, float]) -> None:
        for fate in ("received", "lost", "late", "duplicate", "reordered"):
            self.packets.labels(fate).inc(media.get(fate, 0))
        if media.get("received"):
            self.jitter_ms.observe(media.get("jitter_ms", 0.0))
        self.underruns.inc(media.get("underruns", 0))


async def measure_loop_lag(observe: Callable[[float], None], interval_s: float = 0.1) -> None:
    """Report how late a timer of the running loop is, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + interval_s
        await asyncio.sleep(interval_s)
        observe(max(0.0, loop.time() - due_s))
