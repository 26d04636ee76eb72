"""`/campaigns`."""

from __future__ import annotations

from api.endpoints import Endpoints

campaigns = Endpoints("Campaigns")
