"""What integrators are sent about calls: the common body, and the signature. Pure.

The events are `assistant-request`, `tool-calls`, `status-update` and `end-of-call-report`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sovereign_ari.domain.ids import Direction

EVENTS = ("assistant-request", "tool-calls", "status-update", "end-of-call-report")
USER_AGENT = "HMS-Sovereign/1.0"
_TYPES: Mapping[Direction, str] = {
    "inbound": "inbound_phone_call",
    "outbound": "outbound_phone_call",
    "web": "web_call",
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where events go.

    Attributes:
        url: Of the integrator's server.
        secret: Signs what is sent; None sends it unsigned.
        events: Which events are wanted.
    """

    url: str
    secret: str | None = field(default=None, repr=False)
    events: frozenset[str] = frozenset(EVENTS)


@dataclass(frozen=True, slots=True)
class Subject:
    """The call that an event is about. Numbers are personal.

    Attributes:
        call_id: Its id.
        direction: Who called whom.
        status: In the words of the contract, e.g. `in-progress`.
        number_id: Row id of our number, None for an extension or a web call.
        number: Our number; None on web calls.
        number_name: What people call it.
        customer: The person's number, None when withheld and on web calls.
    """

    call_id: str
    direction: Direction
    status: str
    number_id: str | None
    number: str | None
    number_name: str | None
    customer: str | None = field(repr=False)


def message(
    event: str,
    at: datetime,
    subject: Subject,
    assistant: Mapping[str, Any] | None = None,
    **more: Any,
) -> bytes:
    """Write the body of an event.

    Args:
        event: One of `EVENTS`.
        at: When it happened, aware.
        subject: The call.
        assistant: The resolved configuration, with everything the integrator added to it.
        more: What this event has beyond the common fields.
    """
    body: dict[str, Any] = {
        "type": event,
        "timestamp": timestamp(at),
        "call": {
            "id": subject.call_id,
            "type": _TYPES[subject.direction],
            "status": subject.status,
            "pipeline": "standard",
        },
        "phone_number": {
            "id": subject.number_id,
            "number": subject.number,
            "name": subject.number_name,
        },
        "customer": {"number": subject.customer},
    }
    if assistant is not None:
        body["assistant"] = dict(assistant)
    return json.dumps({"message": {**body, **more}}, ensure_ascii=False).encode()


def timestamp(at: datetime) -> str:
    """Write an aware time as the contract does: UTC with milliseconds."""
    moment = at.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def headers(
    event: str, delivery_id: str, sent_unix_s: int, body: bytes, secret: str | None
) -> dict[str, str]:
    """The headers of one attempt; `delivery_id` is the same for each attempt of a delivery."""
    named = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-Webhook-Event": event,
        "X-Webhook-Timestamp": str(sent_unix_s),
        "X-Webhook-Id": delivery_id,
    }
    if secret:
        named["X-Webhook-Signature"] = signature(secret, sent_unix_s, body)
    return named


def signature(secret: str, sent_unix_s: int, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of `<timestamp>.<body>` under the secret."""
    signed = f"{sent_unix_s}.".encode() + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
