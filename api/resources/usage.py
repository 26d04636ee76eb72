"""`/usage`."""

from __future__ import annotations

from api.endpoints import Endpoints

usage = Endpoints("Usage")
