"""Trunks pushed into a real PBX: changed in their place, and repaired when others changed them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import pytest
import pytest_asyncio

from sovereign_ari.domain.trunk_objects import Layout, Place, Trunk, lay_out
from sovereign_ari.telephony.trunks import TrunkPusher
from sovereign_ari.wire.ari_http import AriAddress, AriHttp
from sovereign_ari.wire.ari_objects import AriObjects
from tests.integration.test_bundle_asterisk import running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE = "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10"
ENDPOINT = f"trunk-{ONE}-1"
PLAIN = Trunk(
    ONE,
    (Place("127.0.0.9", 5060),),
    "udp",
    number="+31201234567",
    sources=frozenset({ip_network("127.0.0.9/32")}),
)
NOT_OURS = {"callerid"}
"""Changed in its place, an endpoint's own caller becomes `unknown`: a name that no call shows."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def objects(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AriObjects]:
    async with running(tmp_path_factory.mktemp("pbx")) as pbx:
        values = pbx.pbx.values
        address = AriAddress(
            pbx.pbx.ari_url, values.ari_username, values.ari_password, "sovereign"
        )
        async with AriHttp(address) as ari:
            yield AriObjects(ari)


async def as_held(objects: AriObjects, layout: Layout) -> dict[str, set[tuple[str, str]]]:
    held = {}
    for thing in layout.objects:
        fields = await objects.read(thing.kind, thing.id)
        assert fields is not None, thing
        held[f"{thing.kind} {thing.id}"] = {
            (key, value) for key, value in fields if key not in NOT_OURS
        }
    return held


WITH_ACCOUNT = replace(PLAIN, username="bakery", password="secret")
CHANGES = (
    replace(PLAIN, number=None),
    replace(WITH_ACCOUNT, number="+31207654321"),
    replace(WITH_ACCOUNT, registers=True),
    replace(PLAIN, transport="tcp", encrypted=True),
    replace(PLAIN, places=(Place("127.0.0.8", 5070), *PLAIN.places)),
    replace(PLAIN, sources=frozenset({ip_network("127.0.0.10/31")})),
    PLAIN,
)


async def test_a_trunk_that_was_changed_is_like_one_that_was_made_so(objects: AriObjects) -> None:
    pusher, found = TrunkPusher(objects), []
    for trunk in CHANGES:
        layout = lay_out([trunk], {})
        await pusher.sync(layout)
        found.append(await as_held(objects, layout))
        assert await pusher.verify(layout) == []
    for trunk, changed in zip(CHANGES, found, strict=True):
        await pusher.sync(lay_out([], {}))
        layout = lay_out([trunk], {})
        await pusher.sync(layout)
        assert await as_held(objects, layout) == changed
    assert ENDPOINT in await objects.endpoints()
    await pusher.sync(lay_out([], {}))
    assert ENDPOINT not in await objects.endpoints()


@pytest.mark.parametrize(
    "field",
    [("set_var", "SOVEREIGN_TRUNK=another"), ("accountcode", "another"), ("context", "from-local"),
     ("allow_transfer", "yes")],
    ids=lambda field: field[0],
)  # fmt: skip
async def test_what_others_change_at_an_endpoint_is_found_and_repaired(
    objects: AriObjects, field: tuple[str, str]
) -> None:
    pusher, layout = TrunkPusher(objects), lay_out([PLAIN], {})
    await pusher.sync(layout)
    before = await as_held(objects, layout)
    await objects.put("endpoint", ENDPOINT, [field])
    assert await as_held(objects, layout) != before
    assert await pusher.verify(layout) == [f"endpoint {ENDPOINT}"]
    assert await as_held(objects, layout) == before
    assert await pusher.verify(layout) == []


async def test_a_change_after_others_set_a_variable_is_made_all_the_same(
    objects: AriObjects,
) -> None:
    pusher = TrunkPusher(objects)
    await pusher.sync(lay_out([PLAIN], {}))
    await objects.put("endpoint", ENDPOINT, [("set_var", "SOVEREIGN_TRUNK=another")])
    layout = lay_out([replace(PLAIN, number="+31207654321")], {})
    assert await pusher.sync(layout) == 1
    held = await as_held(objects, layout)
    assert ("tenantid", "+31207654321") in held[f"endpoint {ENDPOINT}"]
    assert not any(key == "SOVEREIGN_TRUNK" for key, _ in held[f"endpoint {ENDPOINT}"])
