"""`/domains`."""

from __future__ import annotations

from api.endpoints import Endpoints

domains = Endpoints("Domains")
