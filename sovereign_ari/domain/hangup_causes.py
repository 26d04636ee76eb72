"""Why somebody whom we called did not answer: from SIP and Q.850 to our own words. Pure.

Sources: RFC 3261 section 21 and RFC 3398 section 8.2.6.1 (SIP to ISDN), ITU-T Q.850 table 1, RFC
8197 (607), RFC 8688 (608). The SIP status is asked first, for it says more; the cause is for what
ended without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sovereign_ari.domain.call import NORMAL_CLEARING
from sovereign_ari.domain.records import EndReason

BUSY: Final = "busy"
NO_ANSWER: Final = "no answer"
DECLINED: Final = "the call was declined"
INVALID: Final = "there is no such number"
OFF: Final = "the telephone cannot be reached now"
CONGESTED: Final = "the network is congested or out of order"
REFUSED: Final = "the trunk did not accept us"
INCOMPATIBLE: Final = "no codec in common"
REDIRECTED: Final = "redirected to another destination, which is not followed"
SILENT: Final = "the trunk does not answer"
BY_HAND: Final = "hung up in our PBX before an answer"
UNKNOWN: Final = "the call did not come about"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt ended without an answer.

    Attributes:
        reason: For the record.
        text: For people, with the codes.
        elsewhere: Whether another address of the same trunk may do better.
    """

    reason: EndReason
    text: str
    elsewhere: bool = False


_BY_SIP: Mapping[int, tuple[EndReason, str, bool]] = {
    401: (EndReason.UNREACHABLE, REFUSED, True),
    403: (EndReason.DECLINED, DECLINED, False),
    404: (EndReason.UNREACHABLE, INVALID, False),
    407: (EndReason.UNREACHABLE, REFUSED, True),
    408: (EndReason.UNREACHABLE, SILENT, True),
    410: (EndReason.UNREACHABLE, INVALID, False),
    415: (EndReason.UNREACHABLE, INCOMPATIBLE, False),
    416: (EndReason.UNREACHABLE, INVALID, False),
    480: (EndReason.UNREACHABLE, OFF, True),
    484: (EndReason.UNREACHABLE, INVALID, False),
    485: (EndReason.UNREACHABLE, INVALID, False),
    486: (EndReason.BUSY, BUSY, False),
    487: (EndReason.NO_ANSWER, NO_ANSWER, False),
    488: (EndReason.UNREACHABLE, INCOMPATIBLE, False),
    600: (EndReason.BUSY, BUSY, False),
    603: (EndReason.DECLINED, DECLINED, False),
    604: (EndReason.UNREACHABLE, INVALID, False),
    606: (EndReason.UNREACHABLE, INCOMPATIBLE, False),
    607: (EndReason.DECLINED, DECLINED, False),
    608: (EndReason.DECLINED, DECLINED, False),
}
_BY_CAUSE: Mapping[int, tuple[EndReason, str, bool]] = {
    1: (EndReason.UNREACHABLE, INVALID, False),
    2: (EndReason.UNREACHABLE, CONGESTED, True),
    3: (EndReason.UNREACHABLE, CONGESTED, True),
    17: (EndReason.BUSY, BUSY, False),
    18: (EndReason.UNREACHABLE, SILENT, True),
    19: (EndReason.NO_ANSWER, NO_ANSWER, False),
    20: (EndReason.UNREACHABLE, OFF, True),
    21: (EndReason.DECLINED, DECLINED, False),
    22: (EndReason.UNREACHABLE, INVALID, False),
    23: (EndReason.UNREACHABLE, REDIRECTED, False),
    28: (EndReason.UNREACHABLE, INVALID, False),
    32: (EndReason.ERROR, BY_HAND, False),  # Asterisk's own: no network says so (Q.850)
    58: (EndReason.UNREACHABLE, INCOMPATIBLE, False),
}
_NETWORK_CAUSES = (25, 27, *range(33, 48))
"""Resources, equipment and network: Q.850 section 2.2.7.2, classes 010 and parts of 001."""


def was_answered(sip: int | None, cause: int | None) -> bool:
    """Whether somebody picked up and hung up at once: then the answer itself may not be told.

    Nobody clears a call normally that has not been answered. Arguments as of `failure`.
    """
    unrefused = sip is None or sip < 300
    return sip == 200 or (unrefused and cause == NORMAL_CLEARING)


def failure(sip: int | None, cause: int | None, *, rang: bool) -> Failure:
    """Say why a channel ended before its answer.

    Args:
        sip: Final SIP status, None when there was none.
        cause: Q.850; None when unknown.
        rang: Whether it had begun to ring. Then a telephone was found, and no other address of the
            trunk does better.
    """
    reason, text, elsewhere = _meaning(sip, cause)
    if rang and (sip in (408, 480) or (sip is None and cause == 18)):
        reason, text = EndReason.NO_ANSWER, NO_ANSWER
    codes = [f"SIP {sip}"] if sip else []
    if cause:
        codes.append(f"cause {cause}")
    told = f"{text} ({', '.join(codes)})" if codes else text
    everywhere = sip is not None and sip >= 600  # RFC 3261: of the callee, wherever he is
    return Failure(reason, told, elsewhere and not (rang or everywhere))


def _meaning(sip: int | None, cause: int | None) -> tuple[EndReason, str, bool]:
    if sip is not None and sip in _BY_SIP:
        return _BY_SIP[sip]
    if sip is not None and 300 <= sip < 400:
        return EndReason.UNREACHABLE, REDIRECTED, False
    if sip is not None and 500 <= sip < 600:
        return EndReason.UNREACHABLE, CONGESTED, True
    if cause is not None and cause in _BY_CAUSE:
        return _BY_CAUSE[cause]
    if cause is not None and cause in _NETWORK_CAUSES:
        return EndReason.UNREACHABLE, CONGESTED, True
    return EndReason.UNREACHABLE, UNKNOWN, sip is None
