"""What the PBX does about silence: it hears whether a caller talks, and ends calls nobody minds.

*Talk detection* runs on the caller's channel, where it counts packets: of a caller whose telephone
stops to send any the PBX says that he still talks. So `domain.silence` is told of packets too.

*The lease* is for the day on which we die. The PBX takes a call from us some seconds after we last
said that it may go on; the first lease begins with the answer. It offers the caller to us again,
and when nobody answers it keeps him for as long as silence may last, and hangs up. The same timer
ends the longest call, so a lease never reaches beyond that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sovereign_ari.domain.call import Outcome
from sovereign_ari.domain.dialplan import (
    CONSOLE_NAME,
    GLOBAL_ENDED,
    VARIABLE_ALONE_REASON,
    VARIABLE_ALONE_S,
    VARIABLE_CALL,
    VARIABLE_LANGUAGE,
    VARIABLE_LAPSED,
    VARIABLE_LEASE_S,
    VARIABLE_MAX_S,
    VARIABLE_TALK,
)
from sovereign_ari.domain.ids import CallId, ChannelId
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.domain.silence import HANGOVER_S
from sovereign_ari.errors import AsteriskRefused, SovereignError
from sovereign_ari.wire.ari_http import AriHttp

ENDED_BY_PBX = "its controller did not answer, so the PBX ended the call"
TALK_LEVEL = 320
"""Mean absolute sample above which a line is loud. Measured through G.711: noise of -40 dBFS and
less is silence, -38 dBFS is not; speech of -40 dBFS and more is heard. Comfort noise lies at -65
to -50 dBFS."""

_SPOKEN = ("en", "nl", "de", "fr", "es", "it", "pt", "pl")
GOODBYES: Mapping[str, str] = {language: language for language in _SPOKEN}
"""The languages of `asterisk/sounds`, by themselves."""

LONGEST_LEASE_S = 8.0
SHORTEST_LEASE_S = 4.0  # for calls whose silence may not even last as long
RENEWED_AFTER = 0.4  # of a lease: one renewal may fail
ALONE_S = 30  # how long a caller waits for a controller when his call has no limit on silence
LONGEST_ALONE_S = 60
GOODBYE_S = 5.0  # of the PBX
NOTE_LOOKS = 4
NOTE_LOOK_S = 0.25
OVER_WITHIN_S = 1.0  # two clocks measure the longest call

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineLimits:
    """How long a call may last. Seconds.

    Attributes:
        longest_s: The whole call, from its answer.
        silence_s: Silence of both sides; None when it does not matter.
        language: Of what the PBX says to the caller when we are gone.
    """

    longest_s: float
    silence_s: float | None
    language: str = "en"

    @property
    def lease_s(self) -> float:
        """How long it goes on without a word from us."""
        limit_s = LONGEST_LEASE_S if self.silence_s is None else self.silence_s
        return max(SHORTEST_LEASE_S, min(LONGEST_LEASE_S, limit_s))

    @property
    def alone_s(self) -> int:
        """How long the caller is kept after that, when nobody answers for us."""
        if self.silence_s is None:
            return ALONE_S
        rest_s = self.silence_s - self.lease_s - GOODBYE_S
        return min(LONGEST_ALONE_S, round(max(0.0, rest_s)))

    def variables(self, call: CallId) -> Mapping[str, str]:
        """What the dialplan must know of a call before it answers it."""
        reason, talk = EndReason.ERROR, ""
        if self.silence_s is not None:
            reason = EndReason.SILENCE_TIMEOUT
            talk = f"{HANGOVER_S * 1000:.0f},{TALK_LEVEL}"
        return {
            VARIABLE_CALL: call,
            CONSOLE_NAME: call,
            VARIABLE_MAX_S: f"{self.longest_s:g}",
            VARIABLE_LEASE_S: f"{min(self.lease_s, self.longest_s):g}",
            VARIABLE_ALONE_S: str(self.alone_s),
            VARIABLE_ALONE_REASON: reason.value,
            VARIABLE_LANGUAGE: self.language,
            VARIABLE_TALK: talk,
        }


class LineGuard:
    """Guards the answered line of one call.

    Args:
        ari: Requests to Asterisk.
        call: The call.
        channel: The caller's channel.
        clock: Monotonic seconds.
        limits: How long it may last.
    """

    def __init__(
        self,
        ari: AriHttp,
        call: CallId,
        channel: ChannelId,
        clock: Callable[[], float],
        limits: LineLimits,
    ) -> None:
        self._ari = ari
        self._call = call
        self._channel = channel
        self._clock = clock
        self._limits = limits
        self._ends_s = clock() + limits.longest_s
        self._keeping: asyncio.Task[None] | None = None
        self._renewed_s: float | None = None
        self._lapsed = False

    @property
    def has_lapsed(self) -> bool:
        """Whether the PBX may have minded the call alone, for we were late to renew a lease."""
        since_s = self._renewed_s
        late = since_s is not None and self._clock() - since_s > self._limits.lease_s
        return self._lapsed or late

    @property
    def longest_is_over(self) -> bool:
        """Whether the longest call is over, rather than a lease."""
        return self._clock() >= self._ends_s - OVER_WITHIN_S

    def start(self) -> None:
        """Begin: the caller has just been answered, with the first lease."""
        self._renewed_s = self._clock()
        self._ends_s = self._renewed_s + self._limits.longest_s
        if self._limits.longest_s > self._limits.lease_s:
            self._keep(RENEWED_AFTER * self._limits.lease_s)

    def bring_back(self) -> None:
        """Go on after a lease that lapsed, once the caller is back in his bridge."""
        if self._keeping is not None:
            self._keeping.cancel()
        self._keep(0.0)

    async def let_go(self, at_most_s: float | None) -> None:
        """Renew no longer, and leave the true end with the PBX, or an earlier one.

        Raises:
            AsteriskRefused: If the caller is gone.
        """
        await self.stop()
        self._renewed_s = None
        left_s = max(1.0, self._ends_s - self._clock())
        end_s = left_s if at_most_s is None else min(left_s, at_most_s)
        lease = {"TIMEOUT(absolute)": f"{end_s:.3f}", VARIABLE_LAPSED: ""}
        await self._ari.set_variables(self._channel, lease)

    async def stop(self) -> None:
        """Let go: the call ends."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait((self._keeping,))

    async def ended_alone(self) -> EndedAlone | None:
        """How the PBX ended the call, if it did; its note may come a moment after the hang-up."""
        try:
            for _ in range(NOTE_LOOKS):
                if (end := await ended_alone(self._ari, self._call)) is not None:
                    await forget_end(self._ari, self._call)
                    return None if end.minded else end
                await asyncio.sleep(NOTE_LOOK_S)
        except SovereignError as error:
            log.warning("how the PBX ended the call is not known: %s", error)
        return None

    def _keep(self, from_now_s: float) -> None:
        work = self._keep_lease(from_now_s)
        self._keeping = asyncio.create_task(work, name=f"lease {self._call}")

    async def _keep_lease(self, from_now_s: float) -> None:
        lease_s = self._limits.lease_s
        await asyncio.sleep(from_now_s)
        while (left_s := self._ends_s - self._clock()) > 0:
            try:
                await self._renew(min(lease_s, left_s))
            except AsteriskRefused as refused:
                log.info("a lease was not taken: the caller is leaving: %s", refused)
            except SovereignError as error:
                log.warning("a lease could not be renewed: %s", error)
            else:
                if left_s <= lease_s:  # the PBX has the true end now, and must not lose it again
                    return
            await asyncio.sleep(RENEWED_AFTER * lease_s)

    async def _renew(self, seconds: float) -> None:
        self._lapsed = self.has_lapsed
        asked_s = self._clock()
        lease = {"TIMEOUT(absolute)": f"{seconds:.3f}", VARIABLE_LAPSED: ""}
        await self._ari.set_variables(self._channel, lease)
        self._renewed_s = asked_s


@dataclass(frozen=True, slots=True)
class EndedAlone:
    """How the PBX ended a call that no controller answered for.

    Attributes:
        reason: Why.
        at: When, to the second.
        minded: Whether its controller was there, as far as the PBX knows: it had not taken the
            call from it.
    """

    reason: EndReason
    at: datetime
    minded: bool = False

    def outcome(self, cause: int) -> Outcome:
        """Say it for the record of the call; a caller who hung up himself met no error.

        Args:
            cause: Q.850.
        """
        if self.reason is EndReason.USER_HANGUP:
            return Outcome(CallStatus.ENDED, self.reason, cause)
        return Outcome(CallStatus.ENDED_WITH_ERROR, self.reason, cause, ENDED_BY_PBX)


async def ended_alone(ari: AriHttp, call: CallId) -> EndedAlone | None:
    """Find out how the PBX saw this call end, if it has; `forget_end` once it is kept."""
    reason, _, end = (await ari.global_variable(f"{GLOBAL_ENDED}{call}")).partition(":")
    if not end:
        return None
    at_s, _, minded = end.partition(":")
    try:
        at = datetime.fromtimestamp(int(at_s), UTC)
        return EndedAlone(EndReason(reason), at, minded == "minded")
    except (ValueError, OverflowError):
        await forget_end(ari, call)
        return None


async def forget_end(ari: AriHttp, call: CallId) -> None:
    """Have the PBX forget how it ended this call."""
    await ari.forget_global_variable(f"{GLOBAL_ENDED}{call}")


async def calls_with_callers(ari: AriHttp) -> set[CallId]:
    """Find the answered calls whose caller the PBX still has, whoever minds them."""
    named = {channel.channelvars.get(VARIABLE_CALL) for channel in await ari.channels()}
    return {CallId(call) for call in named if call}
