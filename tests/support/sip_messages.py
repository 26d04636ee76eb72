"""SIP messages as values (RFC 3261 section 7): text in, headers out, and back.

Only what a telephone needs; no transport and no transaction here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Headers = tuple[tuple[str, str], ...]

_COMPACT = {
    "v": "Via", "f": "From", "t": "To", "i": "Call-ID", "m": "Contact", "l": "Content-Length",
    "c": "Content-Type", "k": "Supported", "e": "Content-Encoding", "s": "Subject",
}  # fmt: skip
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?")
_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) SIP/2\.0")
_URI = re.compile(
    r"sips?:(?:(?P<user>[^@>;]*)@)?(?P<host>\[[^\]]*\]|[^:;>?\s]+)(?::(?P<port>\d{1,5}))?"
)


class SipError(ValueError):
    """These bytes are no SIP message."""


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A request or a response.

    Attributes:
        start_line: The first line, without its line end.
        headers: Names as sent (compact forms written out), in order.
        body: What follows the empty line.
    """

    start_line: str
    headers: Headers
    body: bytes = b""

    @property
    def status(self) -> int | None:
        """Status code of a response; None for a request."""
        match = _STATUS_LINE.fullmatch(self.start_line)
        return int(match.group(1)) if match else None

    @property
    def reason_phrase(self) -> str:
        """Text after the status code."""
        match = _STATUS_LINE.fullmatch(self.start_line)
        return (match.group(2) or "") if match else ""

    @property
    def method(self) -> str:
        """Method of a request, or the one a response answers."""
        match = _REQUEST_LINE.fullmatch(self.start_line)
        return match.group(1) if match else self.cseq[1]

    @property
    def cseq(self) -> tuple[int, str]:
        """Number and method of CSeq."""
        number, _, method = self.header("CSeq").partition(" ")
        return (int(number) if number.isdigit() else 0), method.strip()

    def header(self, name: str, default: str = "") -> str:
        """First header of this name, whatever its case."""
        return next(iter(self.headers_named(name)), default)

    def headers_named(self, name: str) -> list[str]:
        """All headers of this name, in order."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]

    def list_header(self, name: str) -> list[str]:
        """All values of a header that may also be a comma-separated list."""
        return [part for value in self.headers_named(name) for part in split_list(value)]

    @property
    def branch(self) -> str:
        """Branch of the topmost Via."""
        return parameter(self.header("Via"), "branch") or ""

    def to_bytes(self) -> bytes:
        """Write it as sent on the wire; Content-Length is computed."""
        kept = [(k, v) for k, v in self.headers if k.lower() != "content-length"]
        kept.append(("Content-Length", str(len(self.body))))
        lines = [self.start_line, *(f"{key}: {value}" for key, value in kept), "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


def parse_message(data: bytes) -> SipMessage:
    """Read one datagram.

    Raises:
        SipError: When it is not a SIP message.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    lines = re.sub(r"\r\n[ \t]+", " ", text).split("\r\n")
    if not (_STATUS_LINE.fullmatch(lines[0]) or _REQUEST_LINE.fullmatch(lines[0])):
        raise SipError("no start line")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise SipError("a header without a name")
        name = name.strip()
        headers.append((_COMPACT.get(name.lower(), name), value.strip()))
    message = SipMessage(lines[0], tuple(headers), body)
    length = message.header("Content-Length")
    if length.isascii() and length.isdigit():
        message = SipMessage(lines[0], tuple(headers), body[: int(length[:9])])
    return message


def request(
    method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b""
) -> SipMessage:
    """Build a request."""
    return SipMessage(f"{method} {uri} SIP/2.0", tuple(headers), body)


def response_to(
    asked: SipMessage, status: int, reason: str, *, tag: str = "", body: bytes = b""
) -> SipMessage:
    """Build the response to a request; `tag` is added to a To that has none."""
    to = asked.header("To")
    if tag and parameter(to, "tag") is None:
        to = f"{to};tag={tag}"
    headers: list[tuple[str, str]] = [("Via", via) for via in asked.headers_named("Via")]
    headers += [("Record-Route", route) for route in asked.headers_named("Record-Route")]
    headers += [("From", asked.header("From")), ("To", to)]
    headers += [("Call-ID", asked.header("Call-ID")), ("CSeq", asked.header("CSeq"))]
    return SipMessage(f"SIP/2.0 {status} {reason}", tuple(headers), body)


def split_list(value: str) -> list[str]:
    """Split at the commas that stand outside of `<>` and quotes."""
    parts = re.findall(r'(?:"(?:\\.|[^"\\])*"|<[^>]*>|[^,"<])+', value)
    return [part.strip() for part in parts if part.strip()]


def parameter(value: str, name: str) -> str | None:
    """Read `;name=value` that stands behind the `<uri>` (or anywhere when there is none)."""
    tail = value.rpartition(">")[2]
    match = re.search(rf';\s*{re.escape(name)}\s*=\s*"?([^;,"\s]+)', tail, re.IGNORECASE)
    return match.group(1) if match else None


def uri_of(value: str) -> str:
    """Take the URI out of a From, To, Contact or Route value."""
    match = re.search(r"<([^>]*)>", value)
    return match.group(1) if match else value.partition(";")[0].strip()


def host_port(uri: str) -> tuple[str, int]:
    """Read the address of a SIP URI; the port is 5060 when it names none.

    Raises:
        SipError: When it is not a SIP URI.
    """
    match = _URI.match(uri)
    if match is None:
        raise SipError(f"not a SIP URI: {uri!r}")
    return match["host"], int(match["port"] or 5060)
