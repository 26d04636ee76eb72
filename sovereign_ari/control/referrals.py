"""REFER from phones of our own: what a phone asks for while it talks to an assistant is declined.

There is nobody to send elsewhere then, and a conversation is not to be given away. Once such a
caller is joined with a human, the PBX itself sends that human to a number or an extension of ours,
or joins him with whom the phone talks to on another line (REFER with Replaces). When that is an
assistant, it begins anew with him: what it said to the phone was not for him.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

from sovereign_ari.domain.call import CONGESTION
from sovereign_ari.domain.dialplan import REFERRED_CONTEXT
from sovereign_ari.domain.ids import ChannelId
from sovereign_ari.errors import SovereignError
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.ari_messages import ChannelTransfer

BEGINNING: Final = "channel_progress"

log = logging.getLogger(__name__)


async def begin_anew(ari: AriHttp, sent: ChannelId, dialled: str) -> None:
    """Have somebody call a number of ours of whose call with a phone he took the phone's place."""
    try:
        await ari.continue_in_dialplan(sent, REFERRED_CONTEXT, dialled)
    except SovereignError as error:
        log.warning("could not send on whom a phone has transferred: %s", error)
        with suppress(SovereignError):
            await ari.hang_up(sent, CONGESTION)


async def decline(ari: AriHttp, asked: ChannelTransfer) -> None:
    """Tell a phone that what it asked for is not done: its call goes on."""
    if asked.state not in (None, BEGINNING):
        return
    try:
        await ari.decline_referral(asked.channel.id)
    except SovereignError as error:
        log.warning("could not decline a REFER: %s", error)
