"""Many datagrams in one call of the kernel: `sendmmsg` and `recvmmsg` of Linux.

One call for all datagrams of a moment, whose tables are made beforehand. It cannot block, so it
keeps the interpreter: winning it back from a busy thread would take longer than it was free.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from collections.abc import Iterator, Sequence

LARGEST_SENT_BYTES = 512
LARGEST_READ_BYTES = 2048
READ_AT_ONCE = 64

Address = tuple[str, int]
"""An IPv4 address and a port."""

_NAME = struct.Struct("=H")
_PORT_AND_HOST = struct.Struct("!H4s8x")
_NAME_BYTES = _NAME.size + _PORT_AND_HOST.size  # struct sockaddr_in
_PART = struct.Struct("@PN")  # struct iovec
_MESSAGE = struct.Struct("@PIPNPNi0PI0P")  # struct mmsghdr: a msghdr, and a length
_WORD_BYTES = 4
_MESSAGE_WORDS = _MESSAGE.size // _WORD_BYTES
_LENGTH_WORD = struct.calcsize("@PIPNPNi0P") // _WORD_BYTES

_library = ctypes.PyDLL(None)  # not CDLL: called with the interpreter held
_sendmmsg = _library.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_recvmmsg = _library.recvmmsg
_recvmmsg.argtypes = (*_sendmmsg.argtypes, ctypes.c_void_p)


def key_of(address: Address) -> int:
    """Turn an address into what `Inbox.datagrams` calls it."""
    return int.from_bytes(_sockaddr(address)[:8], sys.byteorder)


def _sockaddr(address: Address) -> bytes:
    host, port = address
    return _NAME.pack(socket.AF_INET) + _PORT_AND_HOST.pack(port, socket.inet_aton(host))


class _Table:
    """A row of messages, each with a buffer and a name of its own. It never moves."""

    def __init__(self, rows: int, size_bytes: int) -> None:
        rows = max(1, rows)  # an empty piece of memory has no views
        self.buffer, buffers = _fixed(rows * size_bytes)
        self.names, names = _fixed(rows * _NAME_BYTES)
        self.parts, parts = _fixed(rows * _PART.size)
        self.messages, self.address = _fixed(rows * _MESSAGE.size)
        for row in range(rows):
            _PART.pack_into(self.parts, row * _PART.size, buffers + row * size_bytes, size_bytes)
            _MESSAGE.pack_into(
                self.messages,
                row * _MESSAGE.size,
                names + row * _NAME_BYTES,
                _NAME_BYTES,
                parts + row * _PART.size,
                1,  # part
                0,  # no control data
                0,
                0,
                0,
            )


def _fixed(size_bytes: int) -> tuple[memoryview, int]:
    """Make a piece of memory, and tell where it is. The view keeps it."""
    memory = (ctypes.c_char * size_bytes)()
    return memoryview(memory).cast("B"), ctypes.addressof(memory)


class Outbox:
    """Datagrams that leave together, the one of each row to the address of that row.

    Args:
        peers: The address of each row.
    """

    def __init__(self, peers: Sequence[Address]) -> None:
        table = self._table = _Table(len(peers), LARGEST_SENT_BYTES)
        names = b"".join(map(_sockaddr, peers))
        table.names[: len(names)] = names
        self._buffer = table.buffer
        self._sizes = table.parts.cast("Q")  # where each begins, and how long it is

    def put(self, row: int, datagram: bytes) -> None:
        """Write the datagram of a row; at most `LARGEST_SENT_BYTES`.

        Raises:
            ValueError: If it is longer.
        """
        size, at = len(datagram), row * LARGEST_SENT_BYTES
        if size > LARGEST_SENT_BYTES:
            raise ValueError(f"{size} bytes are no packet of a telephone")
        self._buffer[at : at + size] = datagram
        self._sizes[2 * row + 1] = size

    def send(self, fileno: int, first: int, end: int) -> int:
        """Send these rows in their order, without waiting; returns how many were refused.

        One that is refused holds up none behind it.
        """
        refused = 0
        while first < end:
            at = self._table.address + first * _MESSAGE.size
            sent = _sendmmsg(fileno, at, end - first, socket.MSG_DONTWAIT)
            if sent <= 0:  # it is the first that failed: the kernel stops before a later one
                refused += 1
                sent = 1
            first += sent
        return refused


class Inbox:
    """Room for the datagrams that are read at once."""

    def __init__(self) -> None:
        table = self._table = _Table(READ_AT_ONCE, LARGEST_READ_BYTES)
        self._first = table.address
        self._buffer = table.buffer
        self._names = table.names.cast("Q")
        self._words = table.messages.cast("I")

    def read(self, fileno: int) -> int:
        """Take what is there, at most `READ_AT_ONCE`, without waiting; returns how many."""
        count = _recvmmsg(fileno, self._first, READ_AT_ONCE, socket.MSG_DONTWAIT, None)
        return max(0, int(count))

    def datagrams(self, count: int) -> Iterator[tuple[int, bytes]]:
        """Go through what was read: the key of who sent it, and its first 2048 bytes."""
        buffer, names, words = self._buffer, self._names, self._words
        for row in range(count):
            at = row * LARGEST_READ_BYTES
            end = at + words[row * _MESSAGE_WORDS + _LENGTH_WORD]
            yield names[2 * row], buffer[at:end].tobytes()
