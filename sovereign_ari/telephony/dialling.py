"""Calls somebody over a trunk: one address after the other, until one answers or a person said no.

The channel is made first (`create`) and dialled then, so that it is in our application from the
start: every step is an event, and after the answer `continue` sends it into the dialplan, which
gives it a thread of its own there, and with it `TIMEOUT(absolute)` and extension `T`. Audio before
the answer is progress and no answer. A redirection (SIP 3xx) is never followed: where a carrier
points to is nobody's decision here, and the number that was allowed is the one that was asked for.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sovereign_ari.domain.call import NO_ANSWER, NORMAL_CLEARING
from sovereign_ari.domain.dialplan import ARGUMENT_LEG
from sovereign_ari.domain.hangup_causes import Failure, failure, was_answered
from sovereign_ari.domain.records import EndReason
from sovereign_ari.domain.ways import Ways
from sovereign_ari.errors import AsteriskRefused, AsteriskUnknown
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.telephony.legs import Leg, LegGone, Legs
from sovereign_ari.telephony.new_channels import NoSuchEndpoint, make_channel
from sovereign_ari.wire.ari_calling import Outgoing
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.ari_messages import ChannelStateChange, Dial

SIGN_WITHIN_S = 8.0
"""Of an address, when there is another one: to ring, or at least to send audio."""

HANG_UP_MARGIN_S = 2.0  # Asterisk's own limit on ringing is for the day on which we die
ENTERS_WITHIN_S = 1.0
NEWS_WITHIN_S = 0.25  # why a channel went may be told after the refusal that it causes
NO_TRUNK = "there is no trunk to call over"


@dataclass(frozen=True, slots=True)
class CallerId:
    """Whom the called person sees.

    Attributes:
        number: E.164; None when nothing is said of it.
        name: What is shown with it.
        withheld: Whether the network is asked to show neither. It is told the number, if the trunk
            is trusted with it.
    """

    number: str | None = None
    name: str | None = None
    withheld: bool = False

    def variables(self) -> dict[str, str]:
        """What Asterisk must be told: a channel that we dial shows its *connected line*."""
        shown = "prohib_passed_screen" if self.withheld else "allowed_passed_screen"
        told: dict[str, str] = {}
        for kind, value in (("num", self.number), ("name", self.name)):
            if value:
                clean = "".join(c for c in value if c.isprintable() and c not in '"<>\\')
                told[f"CONNECTEDLINE({kind},i)"] = clean
                told[f"CALLERID({kind})"] = clean
        told["CONNECTEDLINE(pres,i)"] = told["CALLERID(pres)"] = shown
        return told


@dataclass(frozen=True, slots=True)
class Dialled:
    """Somebody to call.

    Attributes:
        name: Of the leg, e.g. `transfer`, whichever address it is that answers.
        endpoints: In order of preference, e.g. `PJSIP/+31201234567@trunk-...-1`. One over an
            endpoint that has been dialled already is left out.
        caller_id: Whom the called person sees.
        timeout_s: How long it may ring, over all addresses.
        variables: Further channel variables, e.g. `PJSIP_HEADER(add,X-Call)`.
        audio: The codec to offer first, of those that the trunk allows.
    """

    name: str
    endpoints: Sequence[str]
    caller_id: CallerId = field(default_factory=CallerId)
    timeout_s: float = 30.0
    variables: Mapping[str, str] = field(default_factory=dict)
    audio: AudioFormat | None = None


class Progress(Enum):
    """What is known of somebody who has not answered yet."""

    RINGING = "ringing"
    EARLY_MEDIA = "early-media"


@dataclass(frozen=True, slots=True)
class DialResult:
    """What became of it.

    Attributes:
        answered: Whether somebody did; then `leg` is theirs, and whoever dialled must close it.
        end_reason: `busy`, `no_answer`, `declined` or `unreachable`; None when answered.
        sip: Final SIP status, if there was one.
        q850: Cause, if there was one.
        text: For people: why there was no answer.
        leg: The channel that answered.
    """

    answered: bool
    end_reason: EndReason | None = None
    sip: int | None = None
    q850: int | None = None
    text: str = ""
    leg: Leg | None = None


@dataclass(slots=True)
class _Attempt:
    """One address."""

    leg: Leg
    last: bool
    spent: bool = False  # the endpoint was dialled, or is not there
    rang: bool = False  # or sent audio: a telephone, or at least a network, was found
    answered: bool = False
    timed_out: bool = False


class Dialler:
    """Calls people for one call.

    Args:
        ari: Requests to Asterisk.
        legs: The further channels of the call.
        note: Puts something on its timeline.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        ari: AriHttp,
        legs: Legs,
        note: Callable[[str, Mapping[str, Any]], None],
        clock: Callable[[], float],
    ) -> None:
        self._ari = ari
        self._legs = legs
        self._note = note
        self._clock = clock

    async def dial(
        self, dialled: Dialled, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> DialResult:
        """Call somebody, and return when they answered or will not.

        Cancelled, it hangs up. Of what did not answer nothing is left behind.

        Args:
            dialled: Whom.
            on_progress: Told of ringing, and of audio before the answer. Once each per address.

        Raises:
            AsteriskUnavailable: If the PBX cannot be asked.
        """
        ends_s = self._clock() + dialled.timeout_s
        result = DialResult(False, EndReason.UNREACHABLE, text=NO_TRUNK)
        ways = Ways(dialled.endpoints)
        while (endpoint := ways.next()) is not None:
            attempt = _Attempt(self._legs.open(dialled.name), ways.is_last)
            result, elsewhere = await self._attempt(
                dialled, endpoint, attempt, ends_s, on_progress
            )
            ways.tried(dialled=attempt.spent)
            facts = {"leg": dialled.name, "endpoint": ways.endpoint}
            if result.answered:
                self._note("dialled", {**facts, "answered": True})
                return result
            why = {"sip": result.sip, "cause": result.q850, "why": result.text}
            self._note("dialled", {**facts, "answered": False, **why})
            if not elsewhere or self._clock() >= ends_s:
                return result
        return result

    async def _attempt(
        self,
        dialled: Dialled,
        endpoint: str,
        attempt: _Attempt,
        ends_s: float,
        on_progress: Callable[[Progress], None],
    ) -> tuple[DialResult, bool]:
        """Try one address; tells too whether another one may do better."""
        try:
            await self._send(dialled, endpoint, attempt, ends_s - self._clock())
            await self._follow(attempt, ends_s, on_progress)
            gone = attempt.leg.gone
            if attempt.answered or (gone and was_answered(gone.tech_cause, gone.cause)):
                return DialResult(True, leg=attempt.leg), False
            failed = self._why(attempt)
        except (AsteriskRefused, AsteriskUnknown) as error:
            attempt.spent |= isinstance(error, NoSuchEndpoint)
            gone = await self._news(attempt.leg)
            sip, cause = (gone.tech_cause, gone.cause) if gone else (None, None)
            failed = failure(sip, cause, rang=attempt.rang)
            if gone is None:
                failed = Failure(EndReason.UNREACHABLE, f"{NO_TRUNK}: {error}", elsewhere=True)
        finally:
            if not attempt.answered:
                await attempt.leg.close(NO_ANSWER if attempt.timed_out else NORMAL_CLEARING)
        gone = attempt.leg.gone
        sip, cause = (gone.tech_cause, gone.cause) if gone else (None, None)
        return DialResult(False, failed.reason, sip, cause, failed.text), failed.elsewhere

    async def _send(
        self, dialled: Dialled, endpoint: str, attempt: _Attempt, left_s: float
    ) -> None:
        leg, variables = attempt.leg, {**dialled.caller_id.variables(), **dialled.variables}
        outgoing = Outgoing(leg.channel, endpoint, ARGUMENT_LEG, dialled.audio, variables)
        await make_channel(self._ari, outgoing)
        attempt.spent = True
        # It is not in our application yet when the request is answered: dialled now, it may be
        # refused with "not in Stasis application". When nothing is heard of it, the request tells.
        with suppress(TimeoutError):
            async with asyncio.timeout(ENTERS_WITHIN_S):
                await leg.entered.wait()
        await self._ari.dial_channel(leg.channel, math.ceil(max(left_s, 0) + HANG_UP_MARGIN_S))

    async def _follow(
        self,
        attempt: _Attempt,
        ends_s: float,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Read the events of a channel until it is answered, gone, or too late."""
        told: set[Progress] = set()
        loop = asyncio.get_running_loop()
        left_s = max(0.0, ends_s - self._clock())
        patience_s = left_s if attempt.last else min(left_s, SIGN_WITHIN_S)
        ends_at = loop.time() + left_s
        try:
            async with asyncio.timeout(patience_s) as patience:
                while True:
                    event = await attempt.leg.event()
                    if isinstance(event, LegGone):
                        return
                    if _is_answer(event):
                        attempt.answered = True
                        return
                    if (progress := _progress(event)) is not None and progress not in told:
                        told.add(progress)
                        patience.reschedule(ends_at)
                        attempt.rang = True
                        on_progress(progress)
        except TimeoutError:
            attempt.timed_out = True

    def _why(self, attempt: _Attempt) -> Failure:
        if (gone := attempt.leg.gone) is not None:
            return failure(gone.tech_cause, gone.cause or None, rang=attempt.rang)
        if attempt.rang:
            return failure(None, NO_ANSWER, rang=True)
        return failure(408, None, rang=False)

    async def _news(self, leg: Leg) -> LegGone | None:
        """Why a channel went that a request for was refused, if it is told."""
        try:
            async with asyncio.timeout(NEWS_WITHIN_S):
                while not isinstance(event := await leg.event(), LegGone):
                    pass
        except TimeoutError:
            return None
        return event


def _is_answer(event: object) -> bool:
    match event:
        case ChannelStateChange(channel=channel):
            return channel.state == "Up"
        case Dial(dialstatus="ANSWER"):
            return True
        case _:
            return False


def _progress(event: object) -> Progress | None:
    match event:
        case ChannelStateChange(channel=channel) if channel.state == "Ringing":
            return Progress.RINGING
        case Dial(dialstatus="RINGING"):
            return Progress.RINGING
        case Dial(dialstatus="PROGRESS"):
            return Progress.EARLY_MEDIA
        case _:
            return None
