"""Server-sent events, https://html.spec.whatwg.org/#event-stream-interpretation. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENT_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):
    """A line, or the data of an event, is longer than allowed."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. `id` and `retry` are left out: they serve clients that reconnect by themselves.

    Attributes:
        name: Of the field `event`; empty when there was none.
        data: The lines of the fields `data`, joined by newlines.
    """

    name: str
    data: str


class SseParser:
    """Bytes in, events out; where the bytes are cut makes no difference.

    An event counts when the empty line behind it has come: what a stream that breaks off leaves
    unfinished is never reported.

    Args:
        max_event_bytes: Longest line, and most data in one event.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._torn = bytearray()  # the beginning of a line whose end has not come
        self._after_cr = False  # a newline that comes next belongs to the line before
        self._at_start = True
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take what has come and return the events that it completes.

        Raises:
            EventTooLong: The stream cannot be read any further.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return []
        lines = chunk.splitlines()  # of bytes: at CR, LF and CRLF, and nowhere else
        torn = b"" if chunk.endswith((b"\r", b"\n")) else lines.pop()
        self._after_cr = chunk.endswith(b"\r")
        found = [self._on_line(self._whole(line)) for line in lines]
        self._torn += torn
        self._limit(len(self._torn))
        return [event for event in found if event is not None]

    def _whole(self, line: bytes) -> bytes:
        if self._torn:
            line = bytes(self._torn) + line
            self._torn.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        return line

    def _on_line(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        self._limit(len(line))
        name, _, value = line.partition(b":")  # a comment is a field without a name
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data_bytes += len(value) + 1
            self._limit(self._data_bytes)
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        name, data = self._name, self._data
        self._name, self._data, self._data_bytes = "", [], 0
        if not data:
            return None
        return ServerSentEvent(name, b"\n".join(data).decode("utf-8", "replace"))

    def _limit(self, length_bytes: int) -> None:
        if length_bytes > self._max_event_bytes:
            raise EventTooLong(f"an event is longer than {self._max_event_bytes} bytes")
