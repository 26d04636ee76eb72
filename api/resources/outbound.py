"""`/calls/outbound`."""

from __future__ import annotations

from api.endpoints import Endpoints

outbound = Endpoints("Calls")
