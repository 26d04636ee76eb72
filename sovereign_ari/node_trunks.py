"""Puts together what minds the SIP trunks of this node."""

from __future__ import annotations

from contextlib import AsyncExitStack
from ipaddress import ip_network

import asyncpg

from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.trunk_names import TrunkNames
from sovereign_ari.outgoing.trunks import TrunkPlaces
from sovereign_ari.settings import Settings
from sovereign_ari.telephony.trunk_watch import PbxLog, TrunkWatch
from sovereign_ari.telephony.trunks import TrunkPusher
from sovereign_ari.trunk_minder import Pbx, TrunkMinder
from sovereign_ari.vault import Vault
from sovereign_ari.wire.ami import Ami, AmiAddress
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.ari_objects import AriObjects

AMI_HOST = "127.0.0.1"


def node_trunks(
    stack: AsyncExitStack, settings: Settings, pool: asyncpg.Pool, ari: AriHttp, vault: Vault
) -> TrunkMinder:
    """Make the minder; what it opens is closed with the stack."""
    ami = None
    if settings.ami_password is not None:
        password = settings.ami_password.get_secret_value()
        ami = Ami(AmiAddress(AMI_HOST, settings.ami_port, settings.ari_username, password))
        stack.push_async_callback(ami.close)
    objects = AriObjects(ari)
    watch = TrunkWatch(ami, objects, PbxLog(settings.pbx_log))
    pbx = Pbx(settings.node, ari, TrunkPusher(objects), watch)
    allowed = [ip_network(network, strict=False) for network in settings.outgoing_allow]
    places = TrunkPlaces(OutgoingPolicy(allowed))
    return TrunkMinder(pool, pbx, vault.open, places, TrunkNames())
