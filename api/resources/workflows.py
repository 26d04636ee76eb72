"""`/workflows`."""

from __future__ import annotations

from api.endpoints import Endpoints

workflows = Endpoints("Workflows")
