"""One call of our telephone, from INVITE to BYE."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tests.support.recording import Heard
from tests.support.rtp_port import RtpPort
from tests.support.rtp_sender import Saying, VoiceSender
from tests.support.sip_dialog import Dialog
from tests.support.sip_digest import Credentials, authorization, strongest
from tests.support.sip_endpoint import Address, ClientTransaction, SipEndpoint
from tests.support.sip_messages import SipMessage
from tests.support.sip_outcome import CallRejected, Ending
from tests.support.sip_session import audio_offer, parse_media

if TYPE_CHECKING:
    from tests.support.sip_caller import Line

_CLOSE_TIMEOUT_S = 4.0
_KEY_PAUSE_MS = 60


class Call:
    """Rings on entering, hangs up on leaving. Times are `time.monotonic` seconds.

    Attributes:
        rtp: Our RTP port: what we heard and, once connected, what we send.
        status_code: Latest SIP status received, 0 before the first.
        invite_sent_at_s: When the first INVITE left; set on entering.
        ringing_at_s: When 180 or 183 came, None before.
        answered_at_s: When 200 came, 0 before.
        invite: The transaction of the latest INVITE; tests count its repetitions.
        requests: Requests the far end sent inside the call.
        refer_outcome: Status line of what becomes of a REFER; None refuses REFERs, and with an
            empty one nothing is ever said.
    """

    def __init__(
        self,
        endpoint: SipEndpoint,
        dialog: Dialog,
        *,
        credentials: Credentials | None,
        codecs: tuple[str, ...],
        line: Line,
    ) -> None:
        self.status_code = 0
        self.invite_sent_at_s = 0.0
        self.ringing_at_s: float | None = None
        self.answered_at_s = 0.0
        self.requests: list[SipMessage] = []
        self.refer_outcome: str | None = None
        self._endpoint = endpoint
        self._dialog = dialog
        self._credentials = credentials
        self._codecs = codecs
        self._line = line
        self._codec = codecs[0] if codecs else "ulaw"

    @property
    def heard(self) -> Heard:
        """Everything heard."""
        return self.rtp.heard

    @property
    def sender(self) -> VoiceSender:
        """Our side of the audio, once the far end is known."""
        assert self.rtp.sender is not None, "no audio agreed yet"
        return self.rtp.sender

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[None] = loop.create_future()
        self._ending: asyncio.Future[Ending] = loop.create_future()
        host = self._endpoint.address[0]
        self.rtp = RtpPort(host)
        self._offer = self._line.offer
        if self._offer is None:
            session = secrets.randbelow(10**9)
            self._offer = audio_offer(host, self.rtp.port, self._codecs, session)
        self._endpoint.listen(self._dialog.call_id, self._on_request)
        self.invite_sent_at_s = time.monotonic()
        self.invite = self._send_invite()
        self._dialling = asyncio.create_task(self._dial(), name=f"dial {self._dialog.call_id}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            await self.hang_up()
        finally:
            self._dialling.cancel()
            await asyncio.wait([self._dialling])
            if self._outcome.done() and not self._outcome.cancelled():
                self._outcome.exception()  # looked at, so that nobody complains
            self._ending.cancel()
            self._endpoint.forget(self._dialog.call_id)
            self.rtp.close()

    @property
    def dialog_id(self) -> tuple[str, str | None, str | None]:
        """Its Call-ID, the far end's tag and ours, for others to name it by (RFC 3891)."""
        return self._dialog.identity

    async def answered(self, timeout_s: float = 10.0) -> float:
        """Wait for the 200; returns when it came.

        Raises:
            CallRejected: When the far end said no.
            TimeoutError: When it said nothing.
        """
        async with asyncio.timeout(timeout_s):
            await asyncio.shield(self._outcome)
        return self.answered_at_s

    async def ended(self, timeout_s: float = 10.0) -> Ending:
        """Wait until either side has hung up."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._ending)

    @property
    def live(self) -> bool:
        """Whether it is answered and nobody hung up."""
        return bool(self.answered_at_s) and not self._ending.done()

    async def hang_up(self) -> None:
        """Send BYE, or CANCEL before the answer, and wait for the far end to agree."""
        if self._outcome.done() and self._outcome.exception() is not None:
            return
        if self._ending.done():
            return
        if not self._outcome.done():
            await self._cancel()
        if not self._outcome.exception() and not self._ending.done():
            self._ending.set_result(Ending("us", None, time.monotonic()))
            bye = self._endpoint.start(self._dialog.write("BYE"), self._dialog.next_hop)
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await bye.final()
        if self.rtp.sender is not None:
            self.rtp.sender.close()

    async def say(self, pcm: bytes, rate_hz: int = 8000) -> float:
        """Say PCM16 and wait; returns the time at which the last packet of it was sent."""
        return await self.say_now(pcm, rate_hz).finished

    def say_now(self, pcm: bytes, rate_hz: int = 8000) -> Saying:
        """Begin to say PCM16 and return at once."""
        return self.sender.say(pcm, rate_hz)

    async def press(self, digits: str, duration_ms: int = 100) -> float:
        """Press keys as RFC 4733 events; returns the time at which the last one ended."""
        at_s = time.monotonic()
        for digit in digits:
            at_s = await self.sender.press(digit, duration_ms).finished
            await self.say(bytes(16 * _KEY_PAUSE_MS))
        return at_s

    async def reinvite(self, body: bytes | None = None) -> int:
        """Send an INVITE inside the call; returns its final status."""
        answer = await self.ask("INVITE", body if body is not None else (self._offer or b""))
        return 408 if answer is None else answer.status or 0

    async def ask(
        self, method: str, body: bytes = b"", extra: Sequence[tuple[str, str]] = ()
    ) -> SipMessage | None:
        """Send a request inside the call; returns its final answer, None when none came.

        Only an INVITE has a body.
        """
        inviting = method == "INVITE"
        message = (
            self._dialog.write_invite(body, extra)
            if inviting
            else self._dialog.write(method, extra)
        )
        asked = self._endpoint.start(message, self._dialog.next_hop)
        answer = await asked.final()
        if inviting and answer is not None and (answer.status or 0) < 300:
            self._dialog.retarget(answer)
            asked.acknowledge(self._dialog.write_ack(), self._dialog.next_hop)
        return answer

    def _send_invite(self, extra: tuple[tuple[str, str], ...] = ()) -> ClientTransaction:
        message = self._dialog.write_invite(self._offer or b"", (*self._line.headers, *extra))
        return self._endpoint.start(message, self._dialog.next_hop)

    async def _dial(self) -> None:
        """Follow the INVITE to its final answer, through one challenge if need be."""
        answer = await self._follow()
        if answer is not None and answer.status in (401, 407) and self._credentials:
            header = self._authorize(answer, self._credentials)
            if header is not None:
                self.invite = self._send_invite((header,))
                answer = await self._follow()
        if answer is None:
            self._outcome.set_exception(CallRejected(408, "nobody answered"))
        elif (answer.status or 0) < 300:
            self._establish(answer)
        else:
            reason = " ".join([answer.reason_phrase, *answer.headers_named("Reason")])
            self._outcome.set_exception(CallRejected(answer.status or 0, reason))

    async def _follow(self) -> SipMessage | None:
        while True:
            answer = await self.invite.answers.get()
            if answer is None:
                return None
            self.status_code = answer.status or 0
            if self.status_code in (180, 183):
                self.ringing_at_s = self.ringing_at_s or time.monotonic()
            if self.status_code >= 200:
                return answer
            if answer.body:
                self._connect(answer.body)

    def _authorize(self, answer: SipMessage, credentials: Credentials) -> tuple[str, str] | None:
        proxy = answer.status == 407
        challenge = strongest(
            answer.headers_named("Proxy-Authenticate" if proxy else "WWW-Authenticate")
        )
        if challenge is None:
            return None
        uri = self._dialog.remote_target
        value = authorization(challenge, credentials, "INVITE", uri, secrets.token_hex(8))
        return "Proxy-Authorization" if proxy else "Authorization", value

    def _establish(self, answer: SipMessage) -> None:
        self.answered_at_s = time.monotonic()
        self._dialog.establish(answer)
        self.invite.acknowledge(self._dialog.write_ack(), self._dialog.next_hop)
        self._connect(answer.body)
        if self.rtp.sender is not None:
            self.rtp.sender.start()
        self._outcome.set_result(None)

    def _connect(self, body: bytes) -> None:
        media = parse_media(body)
        if media is None:
            return
        self._codec = media.codec
        sender = self.rtp.connect(
            media.address, media.codec, media.event_payload_type, self._line.faults
        )
        sender.dtx = self._line.dtx

    async def _cancel(self) -> None:
        """Take the INVITE back once the far end has shown that it got it (section 9.1)."""
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await self.invite.provisional.wait()
            if not self._outcome.done():
                self._endpoint.start(self._dialog.write_cancel(), self._dialog.next_hop)
            await asyncio.wait([self._outcome])

    def _on_request(self, asked: SipMessage, source: Address) -> None:
        if asked.method == "ACK":
            return
        self.requests.append(asked)
        if not self._dialog.belongs(asked):
            self._answer(asked, source, 481, "Call/Transaction Does Not Exist")
            return
        match asked.method:
            case "BYE":
                self._answer(asked, source, 200, "OK")
                self._far_end_hung_up(asked)
            case "INVITE" | "UPDATE":
                self._dialog.retarget(asked)
                self._connect(asked.body)
                described = bool(asked.body) or asked.method == "INVITE"
                self._answer(asked, source, 200, "OK", self._description() if described else b"")
            case "REFER" if self.refer_outcome is not None:
                self._answer(asked, source, 202, "Accepted")
                self.tell_what_became_of_it(self.refer_outcome)
            case "OPTIONS" | "INFO" | "NOTIFY" | "MESSAGE":
                self._answer(asked, source, 200, "OK")
            case _:
                self._answer(asked, source, 501, "Not Implemented")

    def tell_what_became_of_it(self, outcome: str) -> None:
        """Report on a REFER (RFC 3515 section 2.4.5); an empty outcome never comes."""
        for state, line in (("active", "100 Trying"), ("terminated;reason=noresource", outcome)):
            if not line:
                continue
            described = [
                ("Event", "refer"),
                ("Subscription-State", state),
                ("Content-Type", "message/sipfrag;version=2.0"),
                ("Contact", f"<sip:tester@{self._endpoint.address[0]}>"),
            ]
            notify = self._dialog.write("NOTIFY", described)
            body = f"SIP/2.0 {line}\r\n".encode()
            told = SipMessage(notify.start_line, notify.headers, body)
            self._endpoint.start(told, self._dialog.next_hop)

    async def refer(self, target: str) -> int:
        """Ask the far end to call somebody else; returns its final status."""
        asked = self._endpoint.start(
            self._dialog.write("REFER", [("Refer-To", f"<{target}>")]), self._dialog.next_hop
        )
        answer = await asked.final()
        return 408 if answer is None or answer.status is None else answer.status

    def _far_end_hung_up(self, bye: SipMessage) -> None:
        if not self._ending.done():
            reason = bye.header("Reason") or None
            self._ending.set_result(Ending("far end", reason, time.monotonic()))
        if self.rtp.sender is not None:
            self.rtp.sender.close()

    def _description(self) -> bytes:
        """Describe our side as it stands: the codec agreed on, the same port."""
        host = self._endpoint.address[0]
        return audio_offer(host, self.rtp.port, (self._codec,), secrets.randbelow(10**9))

    def _answer(
        self, asked: SipMessage, source: Address, status: int, reason: str, body: bytes = b""
    ) -> None:
        response = self._dialog.write_answer(asked, status, reason, body)
        self._endpoint.answer(asked, response, source)
