"""REFER from phones of our own: what a phone asks for while it talks to an assistant is declined.

There is nobody to send elsewhere then, and a conversation is not to be given away. Once such a
caller is joined with a human, the PBX itself sends that human to a number or an extension of ours.
"""

from __future__ import annotations

import logging
from typing import Final

from sovereign_ari.errors import SovereignError
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.ari_messages import ChannelTransfer

BEGINNING: Final = "channel_progress"

log = logging.getLogger(__name__)


async def decline(ari: AriHttp, asked: ChannelTransfer) -> None:
    """Tell a phone that what it asked for is not done: its call goes on."""
    if asked.state not in (None, BEGINNING):
        return
    try:
        await ari.decline_referral(asked.channel.id)
    except SovereignError as error:
        log.warning("could not decline a REFER: %s", error)
