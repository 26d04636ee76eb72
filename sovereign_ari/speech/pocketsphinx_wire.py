"""What goes through the pipes between us and the recogniser's process. Pure.

A message is a header and a body: body length (4 bytes), kind (1 byte), stream number (4 bytes),
all little-endian.
"""

from __future__ import annotations

import struct
from enum import IntEnum

HEADER = struct.Struct("<IBI")
MAX_BODY_BYTES = 1 << 20


class Kind(IntEnum):
    """What a message means; the first four go to the recogniser, the others come from it."""

    OPEN = 1  # JSON: encoding, and grammar or phrases
    AUDIO = 2
    FLUSH = 3
    CLOSE = 4
    OPENED = 5
    REFUSED = 6  # a sentence
    PARTIAL = 7  # words, which may still change
    FINAL = 8  # the words before a flush


def pack(kind: Kind, stream: int, body: bytes = b"") -> bytes:
    """Build a message."""
    return HEADER.pack(len(body), kind, stream) + body
