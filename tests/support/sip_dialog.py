"""The dialogue state of one SIP call: tags, route set, targets, numbers (RFC 3261 section 12)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from tests.support.sip_messages import (
    SipMessage,
    host_port,
    parameter,
    request,
    response_to,
    uri_of,
)

Address = tuple[str, int]

_ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, NOTIFY"


class Dialog:
    """Writes the messages of one call.

    Attributes:
        call_id: Call-ID.
        invite: The INVITE last written.
        established: Whether a 2xx came.
    """

    def __init__(self, local: Address, server: Address, user: str, number: str) -> None:
        self.call_id = f"{secrets.token_hex(8)}@{local[0]}"
        self.invite: SipMessage | None = None
        self.established = False
        self._local = local
        self._uri = f"sip:{number}@{server[0]}:{server[1]}"
        self._target = self._uri
        self._server = server
        self._routes: list[str] = []
        self._cseq = 0
        self._contact = f"<sip:{user}@{local[0]}:{local[1]}>"
        tag = secrets.token_hex(4)
        self._from = f'"Test Caller" <sip:{user}@{local[0]}>;tag={tag}'
        self._to = f"<{self._uri}>"

    @property
    def remote_target(self) -> str:
        """URI that requests inside the dialogue go to."""
        return self._target

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        """Call-ID, the far end's tag and ours."""
        return self.call_id, parameter(self._to, "tag"), parameter(self._from, "tag")

    @property
    def next_hop(self) -> Address:
        """Where requests inside the dialogue are sent: the first route, else the contact."""
        if not self.established:
            return self._server
        return host_port(uri_of(self._routes[0]) if self._routes else self._target)

    def write_invite(self, body: bytes, extra: Iterable[tuple[str, str]] = ()) -> SipMessage:
        """Write a new INVITE, with the next number and a new branch."""
        self._cseq += 1
        described = [("Content-Type", "application/sdp")] if body else []
        headers = [*self._headers("INVITE", self._cseq), *described, *extra]
        self.invite = request("INVITE", self._target, headers, body)
        return self.invite

    def write_cancel(self) -> SipMessage:
        """Write the CANCEL of the INVITE last written: the same branch and number."""
        assert self.invite is not None
        kept = ("Via", "From", "To", "Call-ID", "Route", "Max-Forwards")
        headers = [(k, v) for k, v in self.invite.headers if k in kept]
        headers.append(("CSeq", f"{self._cseq} CANCEL"))
        return request("CANCEL", self._target, headers)

    def write_ack(self) -> SipMessage:
        """Write the ACK of a 2xx: a request of its own, with the INVITE's number."""
        return request("ACK", self._target, self._headers("ACK", self._cseq))

    def write(self, method: str, extra: Iterable[tuple[str, str]] = ()) -> SipMessage:
        """Write another request inside the dialogue."""
        self._cseq += 1
        return request(method, self._target, [*self._headers(method, self._cseq), *extra])

    def write_answer(
        self, asked: SipMessage, status: int, reason: str, body: bytes = b""
    ) -> SipMessage:
        """Write the answer to a request of the far end."""
        plain = response_to(asked, status, reason, body=body)
        extra = [("Contact", self._contact), ("Allow", _ALLOW)]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        return SipMessage(plain.start_line, (*plain.headers, *extra), body)

    def establish(self, answer: SipMessage) -> None:
        """Take over the far end's tag, contact and route set from a 2xx."""
        self.established = True
        self._to = answer.header("To")
        self._routes = list(reversed(answer.list_header("Record-Route")))
        self.retarget(answer)

    def retarget(self, message: SipMessage) -> None:
        """Follow the Contact of a 2xx, a re-INVITE or an UPDATE."""
        contacts = message.list_header("Contact")
        if contacts:
            self._target = uri_of(contacts[0])

    def belongs(self, asked: SipMessage) -> bool:
        """Whether a request inside the dialogue carries both tags."""
        theirs = parameter(asked.header("From"), "tag") == parameter(self._to, "tag")
        ours = parameter(asked.header("To"), "tag") == parameter(self._from, "tag")
        return theirs and ours

    def _headers(self, method: str, number: int) -> list[tuple[str, str]]:
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        host, port = self._local
        headers = [("Via", f"SIP/2.0/UDP {host}:{port};branch={branch};rport")]
        headers += [("Route", route) for route in self._routes]
        headers += [
            ("Max-Forwards", "70"),
            ("From", self._from),
            ("To", self._to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
        ]
        if method in ("INVITE", "UPDATE", "REFER"):
            headers += [("Contact", self._contact), ("Allow", _ALLOW)]
        return headers
