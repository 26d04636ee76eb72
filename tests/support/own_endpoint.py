"""An endpoint of the PBX with settings of a test's own, for callers from another address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from sovereign_ari.bundle.datadir import DataDir
from tests.support.platform import Platform

_NAME = "of-a-test"
_ORDER = ("endpoint", "identify")
_PLAIN = {
    "context": "from-trunk",
    "allow": "!all,slin12,ulaw,alaw,g722",
    "incoming_call_offer_pref": "remote_first",
    "direct_media": "no",
    "rtp_symmetric": "yes",
    "identify_by": "ip",
}


@asynccontextmanager
async def own_endpoint(
    platform: Platform, address: str, settings: Mapping[str, str]
) -> AsyncIterator[None]:
    """Let callers from `address` in, as a trunk's, with these settings of their endpoint."""
    password = DataDir(platform.data_dir).secret("ari_password")
    login = aiohttp.encode_basic_auth("sovereign", password)
    base = f"{platform.ready['ari_url']}/asterisk/config/dynamic/res_pjsip"
    fields = {
        "endpoint": {**_PLAIN, **settings},
        "identify": {"endpoint": _NAME, "srv_lookups": "no", "match": address},
    }
    async with aiohttp.ClientSession(headers={"Authorization": login}) as session:
        try:
            for kind in _ORDER:
                listed = [{"attribute": k, "value": v} for k, v in fields[kind].items()]
                body = {"fields": listed}
                async with session.put(f"{base}/{kind}/{_NAME}", json=body) as answer:
                    assert answer.status == 200, await answer.text()
            yield
        finally:
            for kind in reversed(_ORDER):
                async with session.delete(f"{base}/{kind}/{_NAME}"):
                    pass
