"""A telephone of our own, for tests and benches: it calls, talks, listens and hangs up.

async with SipCaller(("127.0.0.1", 5060)) as caller:
    async with caller.call("1000") as call:
        await call.answered(timeout_s=5)
        greeting_s = await call.heard.wait_for_audio(call.answered_at_s, timeout_s=5)
        await call.say(speech("What are your opening hours?"))
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.rtp_path import NetworkFaults
from tests.support.sip_call import Call
from tests.support.sip_dialog import Dialog
from tests.support.sip_digest import Credentials, authorization, strongest
from tests.support.sip_endpoint import Address, SipEndpoint
from tests.support.sip_outcome import CallRejected, Ending

__all__ = ["Call", "CallRejected", "Ending", "Line", "NetworkFaults", "SipCaller"]


@dataclass(frozen=True, slots=True)
class Line:
    """What is unusual about a call.

    Attributes:
        faults: What the network does to the audio we send.
        dtx: Send nothing while we have nothing to say, as some carriers do.
        offer: Session description to send instead of the usual one; empty for none.
        headers: Further headers of the INVITE.
    """

    faults: NetworkFaults = field(default_factory=NetworkFaults)
    dtx: bool = False
    offer: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


class SipCaller:
    """A telephone that can make many calls at once from one port.

    Attributes:
        endpoint: Its SIP socket, once entered.
    """

    def __init__(
        self,
        server: Address,
        local_ip: str = "127.0.0.1",
        user: str = "tester",
        password: str | None = None,
    ) -> None:
        self._server = server
        self._local_ip = local_ip
        self._user = user
        self._credentials = None if password is None else Credentials(user, password)
        self._endpoint: SipEndpoint | None = None

    @property
    def endpoint(self) -> SipEndpoint:
        """The SIP socket."""
        assert self._endpoint is not None, "enter the caller first"
        return self._endpoint

    async def __aenter__(self) -> Self:
        self._endpoint = await SipEndpoint.open(self._local_ip)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.endpoint.__aexit__(kind, error, tb)
        self._endpoint = None

    def call(
        self, number: str, codecs: Sequence[str] = ("ulaw",), line: Line | None = None
    ) -> Call:
        """Make a call; entering it sends the INVITE, leaving it hangs up."""
        line = line or Line()
        dialog = Dialog(self.endpoint.address, self._server, self._user, number)
        return Call(
            self.endpoint,
            dialog,
            credentials=self._credentials,
            codecs=tuple(codecs),
            line=line,
        )

    async def register(self, expires_s: int = 60) -> int:
        """Register this telephone; returns the final status, 408 when nobody answered."""
        return await self._outside("REGISTER", [("Expires", str(expires_s))])

    async def options(self) -> int:
        """Ask whether the server lives; returns the final status, 408 when nobody answered."""
        return await self._outside("OPTIONS", [])

    async def _outside(self, method: str, extra: list[tuple[str, str]]) -> int:
        """Send a request outside of any call, twice when asked for credentials."""
        host, port = self.endpoint.address
        dialog = Dialog((host, port), self._server, self._user, self._user)
        extra = [*extra, ("Contact", f"<sip:{self._user}@{host}:{port}>")]
        asked = self.endpoint.start(dialog.write(method, extra), self._server)
        answer = await asked.final()
        if answer is not None and answer.status == 401 and self._credentials:
            challenge = strongest(answer.headers_named("WWW-Authenticate"))
            if challenge is not None:
                uri = dialog.remote_target
                value = authorization(
                    challenge, self._credentials, method, uri, secrets.token_hex(8)
                )
                again = dialog.write(method, [*extra, ("Authorization", value)])
                answer = await self.endpoint.start(again, self._server).final()
        self.endpoint.forget(dialog.call_id)
        return 408 if answer is None or answer.status is None else answer.status
