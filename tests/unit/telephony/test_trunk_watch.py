"""What a PBX says of the calls of trunks."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from sovereign_ari.domain.trunk_objects import Place, Trunk
from sovereign_ari.telephony.trunk_watch import PbxLog, TrunkWatch
from sovereign_ari.wire.ami import Ami
from sovereign_ari.wire.ari_objects import AriObjects

ONE = Trunk("6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10", (Place("203.0.113.1", 5060),), "udp")
TWO = replace(ONE, id=ONE.id.replace("6f", "7f"))
SHARED = "carrier-0123456789abcdef"


class Channels:
    """Endpoints with their channels, and whose trunk the channels were told that they are."""

    def __init__(self, endpoints: dict[str, list[str]], told: dict[str, str]) -> None:
        self._endpoints = endpoints
        self.told = told
        self.asked: list[str] = []

    async def channels(self) -> dict[str, list[str]]:
        return self._endpoints

    async def channel_variable(self, channel: str, name: str) -> str:
        assert name == "SOVEREIGN_TRUNK"
        self.asked.append(channel)
        return self.told.get(channel, "")


async def calls(watch: TrunkWatch, *trunks: Trunk) -> list[int]:
    states = await watch.look(trunks, 0.0)
    return [states[trunk.id].calls for trunk in trunks]


def watching(channels: Channels) -> TrunkWatch:
    return TrunkWatch(None, cast("AriObjects", channels), PbxLog(None))


async def test_calls_are_counted_over_each_address_and_over_the_account() -> None:
    callers = replace(TWO, username="bakery", password="secret", inbound_auth=True)
    channels = Channels(
        {
            f"trunk-{ONE.id}-1": ["a"],
            f"trunk-{ONE.id}-2": ["b"],
            f"trunk-{TWO.id}-1": ["c"],
            "bakery": ["d", "e"],
            "softphone": ["f"],
        },
        {},
    )
    assert await calls(watching(channels), ONE, callers) == [2, 3]
    assert channels.asked == []


async def test_a_call_over_a_shared_endpoint_is_of_the_trunk_that_its_channel_was_told() -> None:
    endpoints = {f"trunk-{ONE.id}-1": ["a"], SHARED: ["b", "c", "d", "gone"]}
    channels = Channels(endpoints, {"b": ONE.id, "c": TWO.id, "d": SHARED})
    watch = watching(channels)
    assert await calls(watch, ONE, TWO) == [2, 1], "nobody has taken d yet"

    channels.asked.clear()
    channels.told["d"] = TWO.id
    endpoints[SHARED] = ["b", "d"]
    assert await calls(watch, ONE, TWO) == [2, 1]
    assert channels.asked == ["d"], "what is known is not asked again"


class Manager:
    """Tells of contacts, and counts how often they were asked."""

    def __init__(self, **status: str) -> None:
        self.status = {f"trunk-{ONE.id}-{place[1:]}": said for place, said in status.items()}
        self.qualified: list[str] = []
        self.shown: list[str] = []

    async def ask(self, action: str, **fields: str) -> list[dict[str, str]]:
        assert action == "PJSIPShowEndpoint"
        self.shown.append(fields["Endpoint"][-1])
        status = self.status[fields["Endpoint"]]
        return [{"Event": "ContactStatusDetail", "Status": status, "RoundtripUsec": "1500"}]

    async def do(self, action: str, **fields: str) -> None:
        assert action == "PJSIPQualify"
        self.qualified.append(fields["Endpoint"][-1])


async def test_an_address_that_does_not_answer_is_asked_again_before_the_pbx_would() -> None:
    manager = Manager(_1="Reachable", _2="Unreachable")
    watch = TrunkWatch(cast("Ami", manager), cast("AriObjects", Channels({}, {})), PbxLog(None))
    trunk = replace(ONE, places=(*ONE.places, Place("203.0.113.2", 5060)))
    for second in range(7):
        await watch.look([trunk], float(second))
    assert manager.qualified == ["2", "2", "2"], "at 0, 3 and 6"
    assert manager.shown.count("1") == 2, "at 0 and 5"

    manager.status[f"trunk-{ONE.id}-2"] = "Reachable"
    states = await watch.look([trunk], 9.0)
    assert [at.reachable for at in states[ONE.id].addresses] == [True, True]
    manager.qualified.clear()
    for second in range(10, 20):
        await watch.look([trunk], float(second))
    assert manager.qualified == []


async def test_an_address_that_was_never_asked_is_asked_once_and_looked_at_until_it_answers() -> (
    None
):
    manager = Manager(_1="NonQualified")
    watch = TrunkWatch(cast("Ami", manager), cast("AriObjects", Channels({}, {})), PbxLog(None))
    for second in range(3):
        await watch.look([ONE], float(second))
    assert manager.qualified == ["1"]
    assert len(manager.shown) == 3
