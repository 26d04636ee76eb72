"""A conversation that goes on after its controller died: the caller waited, and is told so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.orders import Order
from sovereign_ari.conversation.own_words import own_words
from sovereign_ari.conversation.terms import Providers, Reporting
from sovereign_ari.domain.adoption import Past
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.transfer import told_of_failure
from sovereign_ari.media.pcm import AudioFormat

BROKEN_OFF = "it was broken off, for a technical reason"
"""Of a transfer."""


class ResumedDialogue(Dialogue):
    """Talks on. See `Dialogue`.

    Where nobody has said anything yet, it begins with the greeting as any other.
    """

    def __init__(
        self,
        call_id: CallId,
        assistant: Assistant,
        providers: Providers,
        mouth: Mouth,
        wire: AudioFormat,
        reporting: Reporting,
    ) -> None:
        self._whole = assistant
        silent = replace(assistant, first_message=None, first_message_outbound=None)
        super().__init__(call_id, silent, providers, mouth, wire, reporting)
        self._past: Past | None = None
        self._outbound = False

    def remember(self, past: Past, *, outbound: bool) -> None:
        """Take what lies behind; to be called before the caller hears us."""
        self._past, self._outbound = past, outbound
        self._agent.history.remember(past)
        if past.transfer is not None:
            told = told_of_failure(past.transfer.destination, BROKEN_OFF)
            self._agent.history.add_context(told)

    def answered(self) -> None:
        """Note that the caller hears us again, and speak up."""
        super().answered()
        past = self._past
        assert past is not None
        now: datetime = self._reporting.wall_clock()
        since_s = (now - past.answered_at).total_seconds()
        self._agent.book.go_on(past.next_number, self._clock() - since_s)
        for order in self._first_words(past):
            self._orders.add(order)
        self._obey()

    def _first_words(self, past: Past) -> list[Order]:
        if not past.began:
            greeting = self._whole.greeting(outbound=self._outbound)
            return [Order(greeting)] if greeting else []
        if past.owes_answer or past.transfer is not None:
            return [Order(own_words(self._whole).back), Order(None)]
        return [Order(own_words(self._whole).where_were_we)]
