"""Tickets of browsers: each is good for one call, for a short time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from sovereign_ari.domain.ids import CallId


@dataclass(frozen=True, slots=True)
class WebCallTicket:
    """One row of `web_calls`.

    Attributes:
        call_id: The call that will come of it, if somebody connects.
        token_sha256: Of the token that the browser shows; the token itself is not stored.
        assistant_id: The stored assistant that answers, None when the call brings its own.
        assistant: The call's own assistant, or what replaces fields of the stored one.
        expires_at: From then on the token is good for nothing.
    """

    call_id: CallId
    token_sha256: bytes = field(repr=False)
    assistant_id: str | None
    assistant: Mapping[str, Any] | None
    expires_at: datetime


async def add_ticket(
    connection: asyncpg.Connection, organisation_id: str, ticket: WebCallTicket
) -> None:
    """Store a ticket; the worker drops it when it is long out of use."""
    await connection.execute(
        """
        INSERT INTO web_calls
            (organisation_id, call_id, token_sha256, assistant_id, assistant, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        organisation_id,
        ticket.call_id,
        ticket.token_sha256,
        ticket.assistant_id,
        ticket.assistant,
        ticket.expires_at,
    )
