"""A bad network between our telephone and the PBX: loss, jitter and disorder, by seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkFaults:
    """What the path does to packets on their way out.

    Attributes:
        loss: Share of packets that never arrive, 0 to 1.
        jitter_ms: Each packet is late by a random 0 to this many milliseconds.
        reorder: Share of packets that are held back behind the next one.
        seed: The same seed does the same to the same packets.
    """

    loss: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    seed: int = 1


class NetworkPath:
    """Sends datagrams through the faults.

    Attributes:
        dropped: How many were lost.
        swapped: How many changed places with the next.
    """

    def __init__(self, send: Callable[[bytes], None], faults: NetworkFaults) -> None:
        self.dropped = 0
        self.swapped = 0
        self._send = send
        self._faults = faults
        self._random = random.Random(faults.seed)
        self._held: bytes | None = None
        self._late: set[asyncio.TimerHandle] = set()

    def send(self, data: bytes) -> None:
        """Send, lose, delay or hold back."""
        faults = self._faults
        if faults.loss and self._random.random() < faults.loss:
            self.dropped += 1
            return
        if self._held is not None:
            held, self._held = self._held, None
            self._deliver(data)
            self._deliver(held)
        elif faults.reorder and self._random.random() < faults.reorder:
            self.swapped += 1
            self._held = data
        else:
            self._deliver(data)

    def close(self) -> None:
        """Forget what is still on its way."""
        for timer in self._late:
            timer.cancel()
        self._late.clear()

    def _deliver(self, data: bytes) -> None:
        if not self._faults.jitter_ms:
            self._send(data)
            return
        delay_s = self._random.uniform(0, self._faults.jitter_ms) / 1000

        def arrive() -> None:
            self._late.discard(timer)
            self._send(data)

        timer = asyncio.get_running_loop().call_later(delay_s, arrive)
        self._late.add(timer)
