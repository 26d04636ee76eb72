"""The UDP port of our telephone: kernel time stamps inwards, a bad network outwards."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time

from tests.support.recording import Heard
from tests.support.rtp_packets import RtpPacket, codec_named, parse_event, parse_rtp
from tests.support.rtp_path import NetworkFaults, NetworkPath
from tests.support.rtp_sender import VoiceSender

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; not in the socket module
_TIMESPEC = struct.Struct("@qq")


class RtpPort:
    """One call's media: sends to the far end once it is known, hears from the first packet on.

    Attributes:
        port: Local UDP port, even.
        heard: What arrived.
        digits: Keys heard as RFC 4733 events.
        garbage: Datagrams that were no RTP.
        sender: What we say; None until `connect`.
        remote: Where we send; None until `connect`.
    """

    def __init__(self, local_ip: str) -> None:
        self._socket = _even_port(local_ip)
        self.port: int = self._socket.getsockname()[1]
        self.heard = Heard("ulaw")
        self.digits: list[str] = []
        self.garbage = 0
        self.sender: VoiceSender | None = None
        self.remote: tuple[str, int] | None = None
        self._path: NetworkPath | None = None
        self._event_payload_type: int | None = None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def connect(
        self,
        remote: tuple[str, int],
        codec: str,
        event_payload_type: int | None,
        faults: NetworkFaults,
    ) -> VoiceSender:
        """Learn where to send and in which codec; a second call only moves the far end."""
        self.remote = remote
        self._event_payload_type = event_payload_type
        if self.sender is None:
            if self.heard.codec != codec:
                self.heard.change_codec(codec)
            self._path = NetworkPath(self.send_raw, faults)
            self.sender = VoiceSender(codec_named(codec), self._path.send, seed=faults.seed)
            self.sender.event_payload_type = event_payload_type or 101
        return self.sender

    def change_codec(self, codec: str) -> None:
        """Speak and understand another codec from now on."""
        assert self.sender is not None, "not connected"
        self.heard.change_codec(codec)
        self.sender.change_codec(codec_named(codec))

    @property
    def path(self) -> NetworkPath:
        """Counts of what the bad network did."""
        assert self._path is not None, "not connected"
        return self._path

    def send_raw(self, data: bytes) -> None:
        """Send any bytes to the far end, past the faults."""
        assert self.remote is not None, "not connected"
        try:
            self._socket.sendto(data, self.remote)
        except (BlockingIOError, ConnectionRefusedError):
            return  # as lost as on any network

    def send_garbage(self, count: int, seed: int = 1) -> None:
        """Send datagrams of random bytes and lengths, the empty one among them."""
        chance = random.Random(seed)
        for number in range(count):
            self.send_raw(chance.randbytes(chance.randrange(1, 400) if number else 0))

    def close(self) -> None:
        """Stop sending and hearing."""
        if self.sender is not None:
            self.sender.close()
        if self._path is not None:
            self._path.close()
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        """Read one packet; the loop calls again while there is another."""
        try:
            data, ancillary, _, _ = self._socket.recvmsg(4096, 64)
        except (BlockingIOError, ConnectionRefusedError):
            return
        arrived_s = time.monotonic()
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack_from(value)
                arrived_s -= time.time() - (seconds + nanoseconds / 1e9)
        self._receive(data, arrived_s)

    def _receive(self, data: bytes, arrived_s: float) -> None:
        packet = parse_rtp(data)
        if packet is None:
            self.garbage += 1
        elif packet.payload_type == self._event_payload_type:
            event = parse_event(packet.payload)
            if event is not None and packet.marker:
                self.digits.append(event[0])
        else:
            self.heard.add(packet, arrived_s)


def stranger_speaks(target: tuple[str, int], packets: list[RtpPacket]) -> None:
    """Send packets to somebody else's RTP port from a socket of our own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for packet in packets:
            stranger.sendto(packet.to_bytes(), target)


def _even_port(local_ip: str) -> socket.socket:
    """Bind an even port (RFC 3550 section 11) that the kernel finds free."""
    while True:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        bound.bind((local_ip, 0))
        if bound.getsockname()[1] % 2 == 0:
            return bound
        bound.close()
