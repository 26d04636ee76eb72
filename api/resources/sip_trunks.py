"""`/sip-trunks`."""

from __future__ import annotations

from api.endpoints import Endpoints

sip_trunks = Endpoints("SIP trunks")
