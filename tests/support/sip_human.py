"""Somebody to be called: a telephone that rings, answers or refuses, talks, and hangs up."""

from __future__ import annotations

import asyncio
import secrets
import time
from types import TracebackType
from typing import Self

from tests.support.recording import Heard
from tests.support.rtp_path import NetworkFaults
from tests.support.rtp_port import RtpPort
from tests.support.rtp_sender import VoiceSender
from tests.support.sip_endpoint import Address, SipEndpoint
from tests.support.sip_messages import SipMessage, host_port, request, response_to, uri_of
from tests.support.sip_session import audio_offer, parse_media

_CLOSE_TIMEOUT_S = 4.0


class Answered:
    """A call that somebody took.

    Attributes:
        invite: What called him.
        rtp: His audio.
        requests: What came inside the call.
    """

    def __init__(self, endpoint: SipEndpoint, invite: SipMessage, source: Address) -> None:
        self.invite = invite
        self.requests: list[SipMessage] = []
        self.rtp = RtpPort(endpoint.address[0])
        self.called_at_s = time.monotonic()
        self.answered_at_s = 0.0
        self._endpoint = endpoint
        self._source = source
        self._tag = secrets.token_hex(4)
        self._asked = 0
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def heard(self) -> Heard:
        return self.rtp.heard

    @property
    def sender(self) -> VoiceSender:
        assert self.rtp.sender is not None
        return self.rtp.sender

    async def say(self, pcm: bytes, rate_hz: int = 8000) -> float:
        return await self.sender.say(pcm, rate_hz).finished

    def press(self, digit: str) -> None:
        """Press a key, and do not wait: the call may be over before it is let go."""
        self.sender.press(digit, 100)

    async def ended(self, timeout_s: float = 10.0) -> str:
        """Wait until somebody hung up; says who."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._ended)

    def answer(self, status: int, reason: str, body: bytes = b"") -> None:
        plain = response_to(self.invite, status, reason, tag=self._tag, body=body)
        host, port = self._endpoint.address
        extra = [("Contact", f"<sip:human@{host}:{port}>")]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        headers = (*plain.headers, *extra)
        self._endpoint.answer(
            self.invite, SipMessage(plain.start_line, headers, body), self._source
        )

    def pick_up(self) -> None:
        """Answer, with or without audio before it."""
        before = self.rtp.sender
        sender, offer = self._connect()
        self.answered_at_s = time.monotonic()
        self.answer(200, "OK", offer)
        if before is None:
            sender.start()

    def on_request(self, asked: SipMessage, source: Address) -> None:
        if asked.method == "ACK":
            return
        self.requests.append(asked)
        self._endpoint.answer(asked, response_to(asked, 200, "OK"), source)
        if asked.method == "CANCEL":
            self.answer(487, "Request Terminated")
        if asked.method in ("BYE", "CANCEL"):
            self._end("far end")

    async def hang_up(self) -> None:
        if self._ended.done():
            return
        self._end("us")
        if not self.answered_at_s:
            self.answer(480, "Temporarily Unavailable")
            return
        await self.ask("BYE")

    async def ask(self, method: str, *extra: tuple[str, str]) -> int:
        """Send a request inside the call; returns the final status, 0 for none."""
        self._asked += 1
        host, port = self._endpoint.address
        target = uri_of(self.invite.header("Contact"))
        to = self.invite.header("To")
        headers = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport"),
            ("Max-Forwards", "70"),
            ("From", f"{to};tag={self._tag}"),
            ("To", self.invite.header("From")),
            ("Call-ID", self.invite.header("Call-ID")),
            ("CSeq", f"{self._asked} {method}"),
            ("Contact", f"<sip:human@{host}:{port}>"),
            *extra,
        ]
        asked = self._endpoint.start(request(method, target, headers), host_port(target))
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            answer = await asked.final()
        return (answer.status or 0) if answer is not None else 0

    async def close(self) -> None:
        await self.hang_up()
        self._endpoint.forget(self.invite.header("Call-ID"))
        self.rtp.close()

    def _connect(self) -> tuple[VoiceSender, bytes]:
        media = parse_media(self.invite.body)
        assert media is not None
        sender = self.rtp.connect(
            media.address, media.codec, media.event_payload_type, NetworkFaults()
        )
        host = self._endpoint.address[0]
        session = secrets.randbelow(10**9)
        return sender, audio_offer(host, self.rtp.port, (media.codec,), session)

    def _end(self, by: str) -> None:
        if not self._ended.done():
            self._ended.set_result(by)
        if self.rtp.sender is not None:
            self.rtp.sender.close()


class Human(SipEndpoint):
    """Takes, or refuses, every call that comes. Enter one that `at_home` makes.

    Attributes:
        refusal: Status and reason to refuse with, instead of answering.
        answers_after_s: How long it rings; None rings for ever.
        calls: What was called so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusal: tuple[int, str] | None = None
        self.answers_after_s: float | None = 0.3
        self.calls: list[Answered] = []

    @property
    def uri(self) -> str:
        host, port = self.address
        return f"sip:human@{host}:{port}"

    async def called(self, timeout_s: float = 10.0) -> Answered:
        """Wait until somebody was called and, if he does, has answered."""
        async with asyncio.timeout(timeout_s):
            while not self.calls or not (  # noqa: ASYNC110
                self.calls[-1].answered_at_s or self.answers_after_s is None
            ):
                await asyncio.sleep(0.02)
        return self.calls[-1]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for call in self.calls:
            await call.close()
        await super().__aexit__(kind, error, tb)

    def _receive_request(self, asked: SipMessage, source: Address) -> None:
        if asked.method != "INVITE" or asked.header("Call-ID") in self._listeners:
            super()._receive_request(asked, source)
            return
        call = Answered(self, asked, source)
        self.listen(asked.header("Call-ID"), call.on_request)
        self.calls.append(call)
        if self.refusal is not None:
            call.answer(*self.refusal)
            call._end("us")
            return
        call.answer(180, "Ringing")
        if self.answers_after_s is not None:
            asyncio.get_running_loop().call_later(self.answers_after_s, self._pick_up, call)

    def _pick_up(self, call: Answered) -> None:
        if not call._ended.done():
            call.pick_up()
