"""One UDP socket that speaks SIP, and the transactions on it (RFC 3261 section 17)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.sip_messages import SipError, SipMessage, parse_message, response_to

T1_S = 0.5
T2_S = 4.0
TRANSACTION_TIMEOUT_S = 64 * T1_S

Address = tuple[str, int]
Listener = Callable[[SipMessage, Address], None]


class ClientTransaction:
    """One request of ours: repeated until answered; its answers wait in a queue.

    A final answer that is repeated is acknowledged again without anybody noticing.

    Attributes:
        answers: Responses in order of arrival; None stands for the timeout.
        repeats: How often the request was sent again.
        provisional: Set by the first answer of any kind.
    """

    def __init__(self, endpoint: SipEndpoint, message: SipMessage, destination: Address) -> None:
        self.message = message
        self.answers: asyncio.Queue[SipMessage | None] = asyncio.Queue()
        self.repeats = 0
        self.provisional = asyncio.Event()
        self._endpoint = endpoint
        self._destination = destination
        self._acknowledgement: tuple[SipMessage, Address] | None = None
        self._finished = False
        loop = asyncio.get_running_loop()
        self._interval_s = T1_S
        self._repeat_timer = loop.call_later(T1_S, self._repeat)
        self._end_timer = loop.call_later(TRANSACTION_TIMEOUT_S, self._give_up)
        endpoint.send(message, destination)

    async def final(self) -> SipMessage | None:
        """Wait for the final answer; None after the transaction's own timeout of 32 s."""
        while True:
            answer = await self.answers.get()
            if answer is None or (answer.status or 0) >= 200:
                return answer

    def acknowledge(self, ack: SipMessage, destination: Address) -> None:
        """Send the ACK of a 2xx, and again whenever that 2xx is repeated."""
        self._acknowledgement = (ack, destination)
        self._endpoint.send(ack, destination)

    def receive(self, answer: SipMessage) -> None:
        """Take an answer that matches this request."""
        self.provisional.set()
        final = (answer.status or 0) >= 200
        if final and self._finished:
            if self._acknowledgement is not None:
                self._endpoint.send(*self._acknowledgement)
            return
        if final or self.message.method == "INVITE":
            self._repeat_timer.cancel()
        if final:
            self._finished = True
            self._end_timer.cancel()
            if self.message.method == "INVITE" and (answer.status or 0) >= 300:
                self.acknowledge(self._ack_of_refusal(answer), self._destination)
        self.answers.put_nowait(answer)

    def stop(self) -> None:
        """Send nothing more."""
        self._repeat_timer.cancel()
        self._end_timer.cancel()

    def _repeat(self) -> None:
        self.repeats += 1
        self._endpoint.send(self.message, self._destination)
        self._interval_s *= 2
        if self.message.method != "INVITE":
            self._interval_s = min(self._interval_s, T2_S)
        loop = asyncio.get_running_loop()
        self._repeat_timer = loop.call_later(self._interval_s, self._repeat)

    def _give_up(self) -> None:
        self._repeat_timer.cancel()
        self.answers.put_nowait(None)

    def _ack_of_refusal(self, answer: SipMessage) -> SipMessage:
        """Build the ACK that belongs to the INVITE's own transaction (section 17.1.1.3)."""
        sent = self.message
        kept = ("Via", "Route", "From", "Call-ID", "Max-Forwards")
        headers = [(k, v) for k, v in sent.headers if k in kept]
        headers += [("To", answer.header("To")), ("CSeq", f"{sent.cseq[0]} ACK")]
        return SipMessage(sent.start_line.replace("INVITE", "ACK", 1), tuple(headers))


class SipEndpoint(asyncio.DatagramProtocol):
    """The socket: matches answers to our requests, and hands over the rest by Call-ID.

    Attributes:
        garbage: Datagrams that were no SIP.
        strays: Requests that belong to no call of ours.
    """

    def __init__(self) -> None:
        self.garbage = 0
        self.strays: list[SipMessage] = []
        self._listeners: dict[str, Listener] = {}
        self._transactions: dict[tuple[str, str], ClientTransaction] = {}
        self._answered: dict[tuple[str, str], bytes] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    @classmethod
    async def open(cls, local_ip: str) -> Self:
        """Bind a free port."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            cls, (local_ip, 0), family=socket.AF_INET
        )
        return protocol

    @property
    def address(self) -> Address:
        """Where we are bound."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return str(host), int(port)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for transaction in self._transactions.values():
            transaction.stop()
        assert self._transport is not None
        self._transport.close()
        await self._closed.wait()

    def listen(self, call_id: str, listener: Listener) -> None:
        """Send the requests of a call to `listener`."""
        self._listeners[call_id] = listener

    def forget(self, call_id: str) -> None:
        """End what `listen` began, and the call's transactions."""
        self._listeners.pop(call_id, None)
        ours = [k for k, t in self._transactions.items() if t.message.header("Call-ID") == call_id]
        for key in ours:
            self._transactions.pop(key).stop()

    def start(self, message: SipMessage, destination: Address) -> ClientTransaction:
        """Send a request and keep at it until it is answered."""
        transaction = ClientTransaction(self, message, destination)
        self._transactions[message.branch, message.method] = transaction
        return transaction

    def send(self, message: SipMessage, destination: Address) -> None:
        """Send one message once."""
        self.send_raw(message.to_bytes(), destination)

    def send_raw(self, data: bytes, destination: Address) -> None:
        """Send any bytes."""
        assert self._transport is not None
        self._transport.sendto(data, destination)

    def answer(self, asked: SipMessage, response: SipMessage, source: Address) -> None:
        """Answer a request, and its repetitions."""
        self._answered[asked.branch, asked.method] = response.to_bytes()
        self.send(response, source)

    def connection_made(  # type: ignore[override]  # a UDP endpoint gets no other kind
        self, transport: asyncio.DatagramTransport
    ) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: repetition deals with it."""

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        source = (str(addr[0]), int(addr[1]))
        try:
            message = parse_message(data)
        except SipError:
            self.garbage += 1
            return
        if message.status is not None:
            transaction = self._transactions.get((message.branch, message.cseq[1]))
            if transaction is not None:
                transaction.receive(message)
        elif (known := self._answered.get((message.branch, message.method))) is not None:
            self.send_raw(known, source)
        else:
            self._receive_request(message, source)

    def _receive_request(self, asked: SipMessage, source: Address) -> None:
        listener = self._listeners.get(asked.header("Call-ID"))
        if listener is not None:
            listener(asked, source)
            return
        self.strays.append(asked)
        match asked.method:
            case "ACK":
                return
            case "OPTIONS":
                status, reason = 200, "OK"
            case "INVITE":
                status, reason = 486, "Busy Here"
            case _:
                status, reason = 481, "Call/Transaction Does Not Exist"
        self.answer(asked, response_to(asked, status, reason, tag="stray"), source)
