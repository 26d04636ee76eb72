"""`/web-calls`."""

from __future__ import annotations

from api.endpoints import Endpoints

web_calls = Endpoints("Web calls")
