"""`/tool-templates`."""

from __future__ import annotations

from api.endpoints import Endpoints

tool_templates = Endpoints("Tool templates")
