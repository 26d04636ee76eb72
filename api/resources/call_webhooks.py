"""`/calls/{id}/webhooks` and `/calls/{id}/recording` (ours)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from api.endpoints import Endpoints
from api.kinds import Timestamp, Uuid
from api.parts import Asked
from api.resources.assistant_bodies import WebhookEvent
from api.views import View
from db.calls import get_call
from db.webhook_log import DeliveryRow, list_deliveries, queue_again
from sovereign_ari.errors import NotFound

call_webhooks = Endpoints("Calls")


class AttemptView(View):
    """One request of ours. `status_code` is null when no answer came; `error` says why."""

    example: ClassVar[Mapping[str, Any]] = {
        "attempt": 1,
        "at": "2026-01-01T12:01:25.000Z",
        "duration_ms": 84,
        "status_code": 200,
        "error": None,
    }

    attempt: int
    at: Timestamp
    duration_ms: int
    status_code: int | None
    error: str | None


class DeliveryView(View):
    """One webhook of a call. `id` is its `X-Webhook-Id`, the same on every attempt."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "7d9f7c4e-3b1a-4f0e-8a2d-5c6b7a8f9e10",
        "number": 1,
        "event": "end-of-call-report",
        "url": "https://example.com/webhooks/calls",
        "state": "delivered",
        "created_at": "2026-01-01T12:01:24.900Z",
        "attempts": [AttemptView.example],
    }

    id: Uuid
    number: int
    event: WebhookEvent
    url: str
    state: Literal["pending", "delivered", "given_up"]
    created_at: Timestamp
    attempts: list[AttemptView]

    @classmethod
    def of(cls, delivery: DeliveryRow) -> Self:
        """Show a row."""
        attempts = [AttemptView.showing(attempt) for attempt in delivery.attempts]
        return cls.showing(delivery, attempts=attempts)


class RecordingView(View):
    """Where a recording can be fetched, until it expires."""

    example: ClassVar[Mapping[str, Any]] = {
        "recording_url": "https://api.example.com/api/v1/recordings/7d9f7c4e?signature=1f8a",
        "expires_at": "2026-01-02T12:01:24.900Z",
    }

    recording_url: str
    expires_at: Timestamp


@call_webhooks.add(
    "GET", "/calls/{call_id}/webhooks", "List what was sent about a call", envelope="webhooks"
)
async def list_call_webhooks(asked: Asked, call_id: str) -> list[DeliveryView]:
    """In the order of the events, each with every attempt to deliver it."""
    await get_call(asked.connection, asked.organisation_id, call_id)
    deliveries = await list_deliveries(asked.connection, asked.organisation_id, call_id)
    return [DeliveryView.of(delivery) for delivery in deliveries]


@call_webhooks.add(
    "POST",
    "/calls/{call_id}/webhooks/{number}/retry",
    "Send a webhook of a call once more",
    envelope="webhook",
    status=202,
    also=(404, 409),
    scope="calls",
)
async def retry_call_webhook(asked: Asked, call_id: str, number: str) -> DeliveryView:
    """It is queued again under the same id, with as many attempts as the first time.

    Only what is sent after the fact can be: a `status-update` or an `end-of-call-report` that was
    delivered or given up, the latter while the content of its call is kept.
    """
    await get_call(asked.connection, asked.organisation_id, call_id)
    queued = await queue_again(asked.connection, asked.organisation_id, call_id, int(number))
    return DeliveryView.of(queued)


@call_webhooks.add("GET", "/calls/{call_id}/recording", "Find the recording of a call")
async def show_recording(asked: Asked, call_id: str) -> RecordingView:
    """A call has one when its assistant records and the caller agreed, if asked."""
    await get_call(asked.connection, asked.organisation_id, call_id)
    raise NotFound("this call has no recording")
