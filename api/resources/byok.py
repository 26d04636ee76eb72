"""`/byok`."""

from __future__ import annotations

from api.endpoints import Endpoints

byok = Endpoints("BYOK")
