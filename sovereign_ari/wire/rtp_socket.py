"""One UDP socket per call: what Asterisk sends comes in here, what we send leaves here.

The socket is the one whose address Asterisk was given, because its strict RTP drops packets from
any other. Sending belongs to the pacer's thread, which uses the file descriptor directly.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from sovereign_ari.media.rtp import RtpError, RtpPacket

RECEIVE_BUFFER_BYTES = 1 << 18
_EF = 0xB8  # DSCP "expedited forwarding" (RFC 3246), for hosts where Asterisk is not local


class RtpSocket(asyncio.DatagramProtocol):
    """A bound, non-blocking UDP socket that parses RTP.

    Args:
        on_packet: Takes each packet from the peer. Runs on the event loop; must not wait.
        address: Local IP address.

    Attributes:
        malformed: Datagrams from the peer that are not RTP.
        strangers: Datagrams from anybody else, or before the peer is known.
    """

    def __init__(self, on_packet: Callable[[RtpPacket], None], address: str) -> None:
        self._on_packet = on_packet
        self._transport: asyncio.DatagramTransport | None = None
        self._peer: tuple[str, int] | None = None
        self.malformed = 0
        self.strangers = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EF)
            self._socket.bind((address, 0))
        except OSError:
            self._socket.close()
            raise

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def peer(self) -> tuple[str, int] | None:
        """Where packets may come from and go to."""
        return self._peer

    def fileno(self) -> int:
        """Return the descriptor to send on; valid until `close`."""
        return self._socket.fileno()

    async def open(self) -> None:
        """Start receiving."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=self._socket)

    def accept_from(self, peer: tuple[str, int]) -> None:
        """Take packets from this address, and no other, from now on."""
        self._peer = peer

    def close(self) -> None:
        """Stop receiving. Harmless when closed already."""
        if self._transport is not None:
            self._transport.close()
        else:
            self._socket.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.DatagramProtocol`."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """See `asyncio.DatagramProtocol`."""
        if addr != self._peer:
            self.strangers += 1
            return
        try:
            packet = RtpPacket.parse(data)
        except RtpError:
            self.malformed += 1
            return
        self._on_packet(packet)
