"""`/calls/{id}/webhooks and /calls/{id}/recording (ours)`."""

from __future__ import annotations

from api.endpoints import Endpoints

call_webhooks = Endpoints("Calls")
