"""`/calls/{id}/control`."""

from __future__ import annotations

from api.endpoints import Endpoints

call_control = Endpoints("Calls")
