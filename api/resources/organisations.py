"""`/organizations, and /account`."""

from __future__ import annotations

from api.endpoints import Endpoints

organisations = Endpoints("Organisation")
