"""The clock of all outgoing audio: one thread that sends a packet per call each 20 ms.

A thread, because an event loop that is busy for 15 ms would make every call stutter; one for all
calls, because a wake-up costs more than a packet. Each call has a place in one of four slots,
5 ms apart, so that a hundred packets do not leave in one burst. Times are absolute on the
monotonic clock: a late tick does not move the next one.

`socket.sendto` would let the interpreter go and win it back for each packet. With a busy event
loop that hand-over costs more than the packet: at 100 calls both threads do little else. So
packets are sent by the C library's own function, which keeps the interpreter for the few
microseconds of a datagram that cannot block.

A call's packets never stop between `add` and `remove`: where there is nothing to say, silence is
sent, because carriers and NATs latch on our stream and Asterisk generates nothing.
"""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import struct
import threading
import time
from typing import Protocol

from sovereign_ari.media.pcm import FRAME_S

SLOTS = 4
SLOT_S = FRAME_S / SLOTS
RESTART_AFTER_S = 0.1  # a stall longer than this moves the grid rather than bursting
LATE_S = 0.005

log = logging.getLogger(__name__)

_sendto = ctypes.PyDLL(None).sendto  # PyDLL, not CDLL: called with the interpreter held
_sendto.argtypes = [
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
]
_sendto.restype = ctypes.c_ssize_t
_FAMILY = struct.Struct("=H")
_ADDRESS = struct.Struct("!H4s8x")


class PacketSource(Protocol):
    """What one call gives the pacer. Called from the pacer's thread only."""

    def next_packet(self, now_s: float) -> bytes:
        """Return the packet to send now; `now_s` is monotonic."""


class _Line:
    """One call on the pacer."""

    def __init__(self, source: PacketSource, fileno: int, peer: tuple[str, int]) -> None:
        self.source = source
        self.failed = False
        host, port = peer
        self.peer = _FAMILY.pack(socket.AF_INET) + _ADDRESS.pack(port, socket.inet_aton(host))
        # A descriptor of our own: the event loop may close its one without asking this thread.
        self.fileno = os.dup(fileno)

    def close(self) -> None:
        os.close(self.fileno)


class Pacer:
    """Sends for every call that was added, until `stop`.

    Attributes:
        ticks: Slots served.
        late_ticks: Slots that began more than 5 ms late.
        latest_s: The worst of them.
        send_errors: Packets that the system refused, e.g. for a full buffer.
        faults: Packets that a source failed to make.
    """

    def __init__(self) -> None:
        self._slots: list[dict[str, _Line]] = [{} for _ in range(SLOTS)]
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
        self._thread.join()
        for slot in self._slots:
            for line in slot.values():
                line.close()
            slot.clear()

    def add(self, name: str, source: PacketSource, fileno: int, peer: tuple[str, int]) -> None:
        """Send for a call from the next tick on, in the emptiest slot."""
        line = _Line(source, fileno, peer)
        with self._lock:
            min(self._slots, key=len)[name] = line
        self._wake.set()

    def remove(self, name: str) -> None:
        """Stop sending for a call. Nothing of it leaves after this returns."""
        with self._lock:
            line = next((slot.pop(name) for slot in self._slots if name in slot), None)
        if line is not None:
            line.close()

    @property
    def lines(self) -> int:
        """How many calls are being sent for."""
        return sum(len(slot) for slot in self._slots)

    def _run(self) -> None:
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
                for line in self._slots[slot].values():
                    self._send(line, now_s)
            slot = (slot + 1) % SLOTS
            due_s += SLOT_S

    def _note(self, late_s: float) -> None:
        self.ticks += 1
        if late_s > LATE_S:
            self.late_ticks += 1
            self.latest_s = max(self.latest_s, late_s)

    def _send(self, line: _Line, now_s: float) -> None:
        try:
            packet = line.source.next_packet(now_s)
        except Exception:  # this thread is the voice of every other call
            self.faults += 1
            if not line.failed:
                log.exception("a call has no packet to send")
            line.failed = True
            return
        peer = line.peer
        if _sendto(line.fileno, packet, len(packet), socket.MSG_DONTWAIT, peer, len(peer)) < 0:
            self.send_errors += 1
