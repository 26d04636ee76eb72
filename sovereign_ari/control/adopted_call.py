"""A call that another controller answered, and that goes on with us after its death.

Nothing of it lives in this process. Its caller waits in the PBX, with what the dead controller
made there: a bridge, and a media leg that sends to nobody. Both are removed and made anew, under
the same names.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from sovereign_ari.control.call_record import Invitation
from sovereign_ari.control.live_call import LiveCall
from sovereign_ari.control.ports import CallServices
from sovereign_ari.control.requests import all_done
from sovereign_ari.control.transfers import KIND as TRANSFER
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.resumed_dialogue import BROKEN_OFF, ResumedDialogue
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.adoption import FoundCall
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.dialplan import (
    VARIABLE_ALONE_UNTIL,
    VARIABLE_APP,
    VARIABLE_LAPSED,
)
from sovereign_ari.domain.ids import ChannelId, call_of, direction_of
from sovereign_ari.errors import AsteriskUnknown
from sovereign_ari.telephony.silence import LONGEST_LEASE_S

GONE_WITHIN_S = 2.0
LOOK_S = 0.02
SHORTEST_S = 1.0

log = logging.getLogger(__name__)


class AdoptedCall(LiveCall):
    """See `LiveCall`.

    Args:
        found: What the record says of it.
        channel: The caller's.
        left_s: How long the call may still last.
        services: What all calls share.
    """

    def __init__(
        self, found: FoundCall, channel: ChannelId, left_s: float, services: CallServices
    ) -> None:
        invitation = Invitation(channel, found.ours, found.codec, found.theirs)
        super().__init__(found.call_id, invitation, services)
        assert found.route.assistant is not None
        self._found = found
        self._left_s = max(SHORTEST_S, left_s)
        rest = replace(found.route.assistant, max_duration_s=self._left_s)
        self._route = replace(found.route, assistant=rest)
        self._record.go_on()

    async def _open_media(self) -> None:
        await self._clear_away()
        await super()._open_media()

    async def _clear_away(self) -> None:
        """Remove what the dead controller made for this call, and wait until it is gone."""
        ari = self._services.ari
        bridges = [each.id for each in await ari.bridges() if call_of(each.id) == self.id]
        await asyncio.gather(*map(ari.destroy_bridge, bridges))
        try:
            async with asyncio.timeout(GONE_WITHIN_S):
                asked: set[str] = set()
                while legs := await self._old_legs():
                    await asyncio.gather(*map(ari.hang_up, legs - asked))
                    asked |= legs
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AsteriskUnknown("the old legs of the call do not go") from None

    async def _old_legs(self) -> set[str]:
        listed = await self._services.ari.channels()
        return {each.id for each in listed if call_of(each.id) == self.id} - {self.channel}

    def _make_dialogue(self, assistant: Assistant, providers: Providers) -> Dialogue:
        dialogue = ResumedDialogue(
            self.id, assistant, providers, self._leg, self._audio, self._reporting()
        )
        outbound = direction_of(self.id) == "outbound"
        dialogue.remember(self._found.past, outbound=outbound)
        return dialogue

    async def _prepare_line(self, assistant: Assistant) -> None:
        """Have the PBX leave the caller with us, for as long as a first lease lasts."""
        ari = self._services.ari
        self.line.answering(self._services, self.id, self.channel, assistant)
        lease = {
            VARIABLE_APP: self._services.app,
            VARIABLE_LAPSED: "",
            VARIABLE_ALONE_UNTIL: "",
            "TIMEOUT(absolute)": f"{min(LONGEST_LEASE_S, self._left_s):.3f}",
        }
        await all_done(ari.set_variables(self.channel, lease), ari.watch_channel(self.channel))

    async def _start_conversation(self) -> None:
        await super()._start_conversation()
        if (transfer := self._found.past.transfer) is not None:
            facts = {"mode": transfer.mode, "destination": transfer.destination}
            self.note(TRANSFER, {"step": "failed", **facts, "why": BROKEN_OFF})
        seen_at = self._found.last_seen_at
        gap_ms: int | None = None
        if seen_at is not None:
            gap_ms = round((self._services.wall_clock() - seen_at).total_seconds() * 1000)
        turns = len(self._found.past.turns)
        self.note("adopted", {"gap_ms": gap_ms, "turns": turns, "by": self._services.app})
        log.info("adopted")
