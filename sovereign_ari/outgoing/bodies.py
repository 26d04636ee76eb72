"""What servers of others answer, unpacked and never larger than asked for."""

from __future__ import annotations

import zlib

from sovereign_ari.errors import OutgoingFailed

ACCEPT_ENCODING = "gzip, deflate"
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW = -zlib.MAX_WBITS


class Allowance:
    """How many bytes may still come.

    Args:
        largest_bytes: In all, after unpacking.
    """

    def __init__(self, largest_bytes: int) -> None:
        self._largest_bytes = largest_bytes
        self.left_bytes = largest_bytes

    def take(self, count: int) -> None:
        """Count bytes that came.

        Raises:
            OutgoingFailed: If they are too many.
        """
        self.left_bytes -= count
        if self.left_bytes < 0:
            raise OutgoingFailed(f"the answer is larger than {self._largest_bytes} bytes")

    def renew(self) -> None:
        """Allow as many again."""
        self.left_bytes = self._largest_bytes


class Unpacker:
    """Unpacks one body piece by piece, within an allowance that is checked before memory is taken.

    Args:
        encoding: The header `Content-Encoding`.
        allowance: What the unpacked bytes are taken from.

    Raises:
        OutgoingFailed: For an encoding that was not asked for.
    """

    def __init__(self, encoding: str, allowance: Allowance) -> None:
        self._allowance = allowance
        self._packed = encoding.strip().lower() not in ("", "identity")
        if self._packed and encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
            raise OutgoingFailed("the answer is compressed in a way that was not asked for")
        self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._begun = False

    def feed(self, piece: bytes) -> bytes:
        """Unpack what came.

        Raises:
            OutgoingFailed: If it is too much, or broken.
        """
        if not self._packed:
            self._allowance.take(len(piece))
            return piece
        try:
            return self._inflate(piece)
        except zlib.error as error:
            raise OutgoingFailed("the answer's compression is broken") from error

    def finish(self) -> None:
        """Check that nothing is missing.

        Raises:
            OutgoingFailed: If the compressed body ended too early.
        """
        if self._packed and self._begun and not self._inflater.eof:
            raise OutgoingFailed("the answer's compression is broken")

    def _inflate(self, piece: bytes) -> bytes:
        unpacked = bytearray()
        while piece:
            if self._inflater.eof:  # RFC 1952 section 2.2: members may follow each other
                self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
            found = self._inflate_some(piece)
            self._allowance.take(len(found))
            unpacked += found
            piece = self._inflater.unconsumed_tail or self._inflater.unused_data
        return bytes(unpacked)

    def _inflate_some(self, piece: bytes) -> bytes:
        room = self._allowance.left_bytes + 1
        begun, self._begun = self._begun, True
        try:
            return self._inflater.decompress(piece, room)
        except zlib.error:
            if begun:
                raise
            self._inflater = zlib.decompressobj(_RAW)  # what some servers call deflate
            return self._inflater.decompress(piece, room)
