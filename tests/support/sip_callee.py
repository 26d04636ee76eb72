"""Somebody whom the product calls, who does with each call what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from tests.support.rtp_sender import VoiceSender
from tests.support.sip_endpoint import Address
from tests.support.sip_human import Answered, Human
from tests.support.sip_messages import SipMessage, response_to

Plan: TypeAlias = Callable[["Ringing"], Awaitable[None]]


class Ringing(Answered):
    """A call to our telephone, whatever becomes of it."""

    def refuse(
        self, status: int, reason: str = "No", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Say no."""
        plain = response_to(self.invite, status, reason, tag=self._tag)
        answer = SipMessage(plain.start_line, (*plain.headers, *headers))
        self._endpoint.answer(self.invite, answer, self._source)
        self._end("us")

    def send_early_media(self) -> VoiceSender:
        """Send audio before the answer (183 with a description)."""
        sender, offer = self._connect()
        self.answer(183, "Session Progress", offer)
        sender.start()
        return sender

    @property
    def was_cancelled(self) -> bool:
        """Whether the caller gave up before an answer."""
        return any(asked.method == "CANCEL" for asked in self.requests)

    def on_request(self, asked: SipMessage, source: Address) -> None:
        """See `Answered`; an INVITE that is repeated is no new one."""
        if asked.method != "INVITE" or asked.cseq != self.invite.cseq:
            super().on_request(asked, source)


@dataclass(frozen=True, slots=True)
class Answers:
    """Rings, and answers.

    Attributes:
        after_s: How long it rings.
        progress: What is said before the answer: 180, or 183 with audio.
        lasts_s: When it hangs up after the answer; None never does.
    """

    after_s: float = 0.3
    progress: int = 180
    lasts_s: float | None = None

    async def __call__(self, call: Ringing) -> None:
        if self.progress == 183:
            call.send_early_media()
        else:
            call.answer(180, "Ringing")
        await asyncio.sleep(self.after_s)
        if call.was_cancelled:
            return
        call.pick_up()
        if self.lasts_s is not None:
            await asyncio.sleep(self.lasts_s)
            await call.hang_up()


@dataclass(frozen=True, slots=True)
class Refuses:
    """Says no.

    Attributes:
        status: SIP status.
        after_s: How long it rings before; None does not ring at all.
        headers: More headers of the answer, e.g. `Contact` of a redirection.
    """

    status: int
    after_s: float | None = None
    headers: tuple[tuple[str, str], ...] = field(default=())

    async def __call__(self, call: Ringing) -> None:
        if self.after_s is not None:
            call.answer(180, "Ringing")
            await asyncio.sleep(self.after_s)
        call.refuse(self.status, headers=self.headers)


async def rings_for_ever(call: Ringing) -> None:
    """Ring, and nothing else."""
    call.answer(180, "Ringing")


async def is_dead(call: Ringing) -> None:
    """Answer nothing at all."""


class Callee(Human):
    """A telephone that follows `plan` for each call.

    Attributes:
        plan: What is done with the next calls.
        rung: Every call so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.plan: Plan = Answers()
        self.rung: list[Ringing] = []
        self._following: set[asyncio.Task[None]] = set()

    async def latest(self, count: int = 1, timeout_s: float = 10.0) -> Ringing:
        """Wait until so many calls came in all; gives the last one."""
        async with asyncio.timeout(timeout_s):
            while len(self.rung) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return self.rung[-1]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        for task in self._following:
            task.cancel()
        if self._following:
            await asyncio.wait(self._following)
        await super().__aexit__(kind, error, tb)

    def _receive_request(self, asked: SipMessage, source: Address) -> None:
        if asked.method != "INVITE" or asked.header("Call-ID") in self._listeners:
            super()._receive_request(asked, source)
            return
        call = Ringing(self, asked, source)
        self.listen(asked.header("Call-ID"), call.on_request)
        self.calls.append(call)
        self.rung.append(call)
        task = asyncio.ensure_future(self._follow(call))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _follow(self, call: Ringing) -> None:
        await self.plan(call)
