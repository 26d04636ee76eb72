"""The UDP socket of all calls of a process: what Asterisk sends comes in here, ours leaves here.

One for all, because a wake-up of the event loop costs more than a packet: with many calls it is
read on a rhythm, and each look finds what several of them sent. Asterisk's end of each call has
an address of its own, which tells the calls apart; and its strict RTP, which drops packets from
any address but the one it was given, takes ours from here. Sending belongs to the pacer's thread.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from sovereign_ari.media.rtp import RtpError, RtpPacket
from sovereign_ari.wire.datagrams import READ_AT_ONCE, Address, Inbox, key_of

BUFFER_BYTES = 1 << 22
"""What waits while the event loop is busy; the system may allow less."""

FEW_CALLS = 10
"""Up to so many calls, each packet is read when it comes."""

RHYTHM_S = 0.004
READS_PER_LOOK = 16
_EF = 0xB8  # DSCP "expedited forwarding" (RFC 3246), for hosts where Asterisk is not local

log = logging.getLogger(__name__)


class FarEnd:
    """Asterisk's end of one call. Made by `RtpSocket.listen_to`.

    Attributes:
        malformed: Datagrams from there that are not RTP.
    """

    def __init__(self, owner: RtpSocket, key: int, on_packet: Callable[[RtpPacket], None]) -> None:
        self.malformed = 0
        self._owner = owner
        self._key = key
        self._on_packet = on_packet
        self._failed = False
        self._strangers_before = owner.strangers
        self._strangers: int | None = None

    @property
    def strangers(self) -> int:
        """Datagrams of nobody's far end that the socket got in the time of this one."""
        until = self._owner.strangers if self._strangers is None else self._strangers
        return until - self._strangers_before

    def take(self, datagram: bytes) -> None:
        """Pass on one datagram from there."""
        try:
            packet = RtpPacket.parse(datagram)
        except RtpError:
            self.malformed += 1
            return
        try:
            self._on_packet(packet)
        except Exception:  # the packets of other calls stand behind this one
            if not self._failed:
                log.exception("a call cannot take a packet")
            self._failed = True

    def close(self) -> None:
        """Take no more. Whoever has that address by now keeps it. Harmless when closed."""
        if self._strangers is None:
            self._strangers = self._owner.strangers
            self._owner.forget(self._key, self)


class RtpSocket:
    """A bound, non-blocking UDP socket that parses RTP.

    Args:
        address: Local IP address.

    Attributes:
        strangers: Datagrams from where no call has its far end.
    """

    def __init__(self, address: str) -> None:
        self.strangers = 0
        self._far_ends: dict[int, FarEnd] = {}
        self._inbox = Inbox()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._socket.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EF)
            self._socket.bind((address, 0))
        except OSError:
            self._socket.close()
            raise

    @property
    def local(self) -> Address:
        """Our address and port, the same for every call."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def far_ends(self) -> int:
        """How many calls are listened to."""
        return len(self._far_ends)

    def fileno(self) -> int:
        """Return the descriptor to send on; valid until `close`."""
        return self._socket.fileno()

    def open(self) -> None:
        """Start receiving on the running event loop. Harmless when open."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self.fileno(), self._look)

    def listen_to(self, peer: Address, on_packet: Callable[[RtpPacket], None]) -> FarEnd:
        """Give what this address sends from now on to `on_packet`, and to nobody before it.

        Args:
            peer: Where Asterisk sends from. It uses a port again after a call.
            on_packet: Runs on the event loop; must not wait.
        """
        key = key_of(peer)
        self._far_ends[key] = far_end = FarEnd(self, key, on_packet)
        return far_end

    def forget(self, key: int, far_end: FarEnd) -> None:
        """Stop listening to an address, unless another call has it by now."""
        if self._far_ends.get(key) is far_end:
            del self._far_ends[key]

    def close(self) -> None:
        """Stop receiving. Harmless when closed already."""
        if self._next_look is not None:
            self._next_look.cancel()
        if self._loop is not None and self.fileno() >= 0:
            self._loop.remove_reader(self.fileno())
        self._socket.close()

    def _look(self) -> None:
        """Read what is there, then come back by the clock or when something comes."""
        self._read()
        if self._loop is None or self.fileno() < 0:
            return
        if len(self._far_ends) > FEW_CALLS:
            if self._next_look is None:
                self._loop.remove_reader(self.fileno())
            self._next_look = self._loop.call_later(RHYTHM_S, self._look)
        elif self._next_look is not None:
            self._next_look = None
            self._loop.add_reader(self.fileno(), self._look)

    def _read(self) -> None:
        far_ends, inbox = self._far_ends, self._inbox
        for _ in range(READS_PER_LOOK):
            count = inbox.read(self.fileno())
            for key, datagram in inbox.datagrams(count):
                far_end = far_ends.get(key)
                if far_end is None:
                    self.strangers += 1
                else:
                    far_end.take(datagram)
            if count < READ_AT_ONCE:
                return
