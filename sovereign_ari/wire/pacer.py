"""The clock of all outgoing audio: one thread that sends a packet per call each 20 ms.

A thread, because an event loop that is busy for 15 ms would make every call stutter; one for all
calls, because a wake-up costs more than a packet. Each call has a place in one of four slots,
5 ms apart, so that a hundred packets do not leave in one burst. Times are absolute on the
monotonic clock: a late tick does not move the next one.

The packets of a slot leave in one call of the kernel, with the interpreter held: letting it go
and winning it back from a busy event loop costs more than the packets. Where the system permits,
the thread has real-time priority: each packet wakes a thread of Asterisk, which would push ours
aside, and with it the interpreter that it holds.

A call's packets never stop between `add` and `remove`: where there is nothing to say, silence is
sent, because carriers and NATs latch on our stream and Asterisk generates nothing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Protocol

from sovereign_ari.media.pcm import FRAME_S
from sovereign_ari.wire.datagrams import Address, Outbox

SLOTS = 4
SLOT_S = FRAME_S / SLOTS
RESTART_AFTER_S = 0.1  # a stall longer than this moves the grid rather than bursting
LATE_S = 0.005
REAL_TIME_PRIORITY = 1  # the least: above everything that is not real-time

log = logging.getLogger(__name__)


class PacketSource(Protocol):
    """What one call gives the pacer. Called from the pacer's thread only."""

    def next_packet(self, now_s: float) -> bytes:
        """Return the packet to send now; `now_s` is monotonic."""


class _Line:
    """One call on the pacer."""

    def __init__(self, source: PacketSource, peer: Address) -> None:
        self.source = source
        self.peer = peer
        self.failed = False


class _Slot:
    """The calls whose packets leave together."""

    def __init__(self) -> None:
        self.lines: dict[str, _Line] = {}
        self.outbox = Outbox(())

    def put(self, name: str, line: _Line) -> None:
        self.lines[name] = line
        self._renew()

    def pop(self, name: str) -> None:
        del self.lines[name]
        self._renew()

    def _renew(self) -> None:
        self.outbox = Outbox([line.peer for line in self.lines.values()])


class Pacer:
    """Sends for every call that was added, until `stop`.

    Args:
        fileno: The socket that everything leaves by.

    Attributes:
        ticks: Slots served.
        late_ticks: Slots that began more than 5 ms late.
        latest_s: The worst of them.
        send_errors: Packets that the system refused, e.g. for a full buffer.
        faults: Packets that a source failed to make.
    """

    def __init__(self, fileno: int) -> None:
        # A descriptor of our own: the event loop may close its one without asking this thread.
        self._fileno = os.dup(fileno)
        self._slots = [_Slot() for _ in range(SLOTS)]
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)
        self.ticks = 0
        self.late_ticks = 0
        self.latest_s = 0.0
        self.send_errors = 0
        self.faults = 0

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, at most a tick."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._fileno)

    def add(self, name: str, source: PacketSource, peer: Address) -> None:
        """Send for a call from the next tick on, in the emptiest slot."""
        line = _Line(source, peer)
        with self._lock:
            min(self._slots, key=lambda slot: len(slot.lines)).put(name, line)
        self._wake.set()

    def remove(self, name: str) -> None:
        """Stop sending for a call. Nothing of it leaves after this returns."""
        with self._lock:
            for slot in self._slots:
                if name in slot.lines:
                    slot.pop(name)

    @property
    def lines(self) -> int:
        """How many calls are being sent for."""
        return sum(len(slot.lines) for slot in self._slots)

    def _run(self) -> None:
        _come_first()
        due_s = time.monotonic()
        slot = 0
        while not self._stopping:
            if not self.lines:
                self._wake.wait()
                self._wake.clear()
                due_s = time.monotonic()
            now_s = time.monotonic()
            if now_s < due_s:
                time.sleep(due_s - now_s)
                now_s = time.monotonic()
            self._note(now_s - due_s)
            if now_s - due_s > RESTART_AFTER_S:
                due_s = now_s
            with self._lock:
                self._serve(self._slots[slot], now_s)
            slot = (slot + 1) % SLOTS
            due_s += SLOT_S

    def _note(self, late_s: float) -> None:
        self.ticks += 1
        if late_s > LATE_S:
            self.late_ticks += 1
            self.latest_s = max(self.latest_s, late_s)

    def _serve(self, slot: _Slot, now_s: float) -> None:
        """Make the packets of a slot and send them: at once, unless one could not be made."""
        outbox, first, row = slot.outbox, 0, -1
        for row, line in enumerate(slot.lines.values()):
            try:
                outbox.put(row, line.source.next_packet(now_s))
            except Exception:  # this thread is the voice of every other call
                if not line.failed:
                    log.exception("a call has no packet to send")
                line.failed = True
                self.faults += 1
                self.send_errors += outbox.send(self._fileno, first, row)
                first = row + 1
        self.send_errors += outbox.send(self._fileno, first, row + 1)


def _come_first() -> None:
    """Run the calling thread before all ordinary ones; it never works for long at a time."""
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(REAL_TIME_PRIORITY))
    except OSError:
        log.info("no permission for real-time priority: audio may stutter under load")
