"""Has the PBX listen to whoever answered a call of ours: AMD(), beside the conversation.

A Snoop channel hears the callee and runs AMD() in the dialplan, so nobody waits for its verdict.
It comes back into our application with it, some two to five seconds after the answer.
"""

from __future__ import annotations

import asyncio

from sovereign_ari.domain.answering_machine import PbxVerdict
from sovereign_ari.domain.dialplan import (
    AMD_CONTEXT,
    AMD_EXTENSION,
    ARGUMENT_AMD,
    ARGUMENT_LEG,
    LISTENERS_APP,
)
from sovereign_ari.domain.ids import ChannelId
from sovereign_ari.telephony.legs import Leg, LegGone
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.ari_messages import StasisStart

VERDICT_WITHIN_S = 10.0  # AMD decides within 5 s of sound, or of silence
LEG_NAME = "amd"


async def ask_pbx(ari: AriHttp, callee: ChannelId, leg: Leg, app: str) -> PbxVerdict | None:
    """Have AMD() hear a channel; None when it said nothing in time, or the callee left.

    Args:
        ari: Requests to Asterisk.
        callee: Whom to hear, answered.
        leg: The listener's channel, which its opener closes.
        app: Our Stasis application.

    Raises:
        AsteriskRefused: If the callee is gone.
        AsteriskUnknown: If Asterisk does not answer.
    """
    await ari.ask(
        "POST",
        f"channels/{callee}/snoop/{leg.channel}",
        {"spy": "in", "app": app, "appArgs": ARGUMENT_LEG},
    )
    try:
        async with asyncio.timeout(VERDICT_WITHIN_S):
            if await _entered(leg) is None:
                return None
            await ari.set_variables(leg.channel, {LISTENERS_APP: app})
            await ari.continue_in_dialplan(leg.channel, AMD_CONTEXT, AMD_EXTENSION)
            said = await _entered(leg)
    except TimeoutError:
        return None
    if said is None or said[:2] != (ARGUMENT_LEG, ARGUMENT_AMD):
        return None
    status, cause = (*said[2:4], "", "")[:2]
    return PbxVerdict(status, cause)


async def _entered(leg: Leg) -> tuple[str, ...] | None:
    """Wait until the listener enters our application; returns with what arguments."""
    while True:
        event = await leg.event()
        if isinstance(event, StasisStart):
            return event.args
        if isinstance(event, LegGone):
            return None
