"""What one call writes of itself, from its first ring to its end, and what others are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sovereign_ari.control.ports import CallServices
from sovereign_ari.domain.agent import Config, Route
from sovereign_ari.domain.call import Outcome
from sovereign_ari.domain.ids import CallId, ChannelId, direction_of
from sovereign_ari.domain.kept import keep
from sovereign_ari.domain.records import (
    CallAnswered,
    CallClosed,
    CallConfigured,
    CallNote,
    CallOpened,
    CallRinging,
    CallStatus,
)
from sovereign_ari.domain.shown import account_webhook
from sovereign_ari.domain.webhook import Subject, Webhook


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the dialplan told us of a new call, or a client of one to be placed.

    Attributes:
        channel: Of the person who talks with us, whoever called.
        dialled: Our side: the normalised number that was dialled, or an extension; of a call that
            we place, the number it is placed from.
        codec: RTP codec between the PBX and us.
        caller: Their number, None when withheld. *Personal.*
        trunk: The SIP trunk it came by, or a source that trunks share; empty for other callers.
    """

    channel: ChannelId
    dialled: str
    codec: str
    caller: str | None
    trunk: str = ""


class CallRecord:
    """The record of one call. Begins with the first ring.

    Args:
        call_id: The call.
        invitation: What the dialplan said.
        services: What all calls share.
    """

    def __init__(self, call_id: CallId, invitation: Invitation, services: CallServices) -> None:
        self._id = call_id
        self._direction = direction_of(call_id)
        self._invitation = invitation
        self._services = services
        self._began_at = services.wall_clock()
        self._opened = False

    @property
    def caller(self) -> str | None:
        """The number of who calls, *personal*; None when that is withheld."""
        return self._invitation.caller

    def go_on(self) -> None:
        """Go on with the record that another controller opened."""
        self._opened = True

    def open(self, route: Route | None) -> None:
        """Write the row of the call. Once, also when the route could not be found."""
        if self._opened:
            return
        self._opened = True
        assistant = route.assistant if route else None
        ours, theirs = self._invitation.dialled, self._invitation.caller
        outbound = self._direction == "outbound"
        self._services.journal.post(
            CallOpened(
                call_id=self._id,
                at=self._began_at,
                direction=self._direction,
                controller=self._services.app,
                caller=ours if outbound else theirs,
                dialled=(theirs or "") if outbound else ours,
                codec=self._invitation.codec,
                organisation_id=route.organisation_id if route else "",
                number_id=route.number_id if route else None,
                assistant_id=assistant.id if assistant else None,
                assistant_name=assistant.name if assistant else None,
                number_name=route.number_name if route else None,
                webhook=_told(route) if route else None,
                shown=assistant.shown if assistant else {},
                kept=_kept(route),
            )
        )

    def configure(self, route: Route) -> None:
        """Write who takes the call instead of the assistant that the row was opened with."""
        if (assistant := route.assistant) is None:
            return
        self._services.journal.post(
            CallConfigured(
                call_id=self._id,
                assistant_id=assistant.id or None,
                assistant_name=assistant.name or None,
                number_name=route.number_name,
                webhook=assistant.webhook,
                shown=assistant.shown,
                kept=_kept(route),
            )
        )

    def note(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Put something on the timeline."""
        self._services.journal.post(CallNote(self._id, self._services.wall_clock(), kind, detail))

    def ringing(self) -> None:
        """Write that it rings at the person whom we call."""
        self._services.journal.post(CallRinging(self._id, self._services.wall_clock()))

    def answered(self, *, conversation: bool, at: datetime | None = None) -> None:
        """Write that the caller hears us since then or now, and whether anybody talks with him."""
        at = at or self._services.wall_clock()
        self._services.journal.post(CallAnswered(self._id, at, conversation))

    def close(
        self, outcome: Outcome, media: Mapping[str, float], at: datetime | None = None
    ) -> None:
        """Write the end, `at` or now; what was never opened is opened with it."""
        self.open(None)
        self._services.journal.post(
            CallClosed(
                call_id=self._id,
                at=at or self._services.wall_clock(),
                status=outcome.status,
                end_reason=outcome.reason,
                cause=outcome.cause,
                error=outcome.error,
                media=media,
            )
        )

    def subject(self, route: Route, status: CallStatus) -> Subject:
        """The call as integrators are told of it."""
        return Subject(
            call_id=self._id,
            direction=self._direction,
            status=status,
            number_id=route.number_id,
            number=self._invitation.dialled,
            number_name=route.number_name,
            customer=self._invitation.caller,
        )


def _kept(route: Route | None) -> Config | None:
    """What whoever adopts the call must know; who is turned away has nothing to go on with."""
    if route is None or route.assistant is None or route.rejection is not None:
        return None
    return keep(route.assistant)


def _told(route: Route) -> Webhook | None:
    """Who is told of a call: where nobody takes it, the account whose number was called."""
    if route.assistant is not None:
        return route.assistant.webhook
    return account_webhook(route.owner.account) if route.owner else None
