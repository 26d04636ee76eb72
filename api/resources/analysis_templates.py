"""`/analysis-templates`."""

from __future__ import annotations

from api.endpoints import Endpoints

analysis_templates = Endpoints("Analysis templates")
