"""`/voices, and /catalog (ours)`."""

from __future__ import annotations

from api.endpoints import Endpoints

voices = Endpoints("Voices")
