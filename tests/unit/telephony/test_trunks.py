"""Pushing trunks into a PBX that keeps them as the real one does."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import cast

import pytest

from sovereign_ari.domain.trunk_objects import Layout, Place, Trunk, lay_out
from sovereign_ari.telephony.trunks import FINGERPRINT, TrunkPusher, fingerprint
from sovereign_ari.wire.ari_objects import AriObjects
from tests.support.pbx_memory import PbxMemory

ONE = "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10"
NAME = f"trunk-{ONE}"
ENDPOINT = f"{NAME}-1"
TRUNK = Trunk(
    ONE,
    (Place("203.0.113.1", 5060),),
    "udp",
    username="bakery",
    password="secret",
    registers=True,
    sources=frozenset({ip_network("203.0.113.1/32")}),
)


@pytest.fixture
def memory() -> PbxMemory:
    return PbxMemory()


def pusher_of(memory: PbxMemory) -> TrunkPusher:
    return TrunkPusher(cast("AriObjects", memory))


def as_held(memory: PbxMemory) -> dict[tuple[str, str], list[tuple[str, str]]]:
    return {key: sorted(fields) for key, fields in memory.things.items()}


def wanted(layout: Layout) -> dict[tuple[str, str], list[tuple[str, str]]]:
    return {thing.key: sorted(thing.fields) for thing in layout.objects}


async def test_what_is_wanted_is_made_in_order_and_removed_in_reverse(memory: PbxMemory) -> None:
    pusher, layout = pusher_of(memory), lay_out([TRUNK], {})
    assert await pusher.sync(layout) == 6
    assert memory.done == [f"put {thing.kind}" for thing in layout.objects]
    assert as_held(memory) == wanted(layout)
    memory.done.clear()
    assert await pusher.sync(layout) == 0
    assert memory.done == [], "nothing has changed"
    await pusher.sync(lay_out([], {}))
    assert memory.done == [f"delete {thing.kind}" for thing in reversed(layout.objects)]
    assert memory.things == {}


async def test_lists_of_a_changed_object_do_not_grow(memory: PbxMemory) -> None:
    pusher = pusher_of(memory)
    await pusher.sync(lay_out([TRUNK], {}))
    moved = replace(
        TRUNK, sources=frozenset({ip_network("203.0.113.9/32")}), number="+31201234567"
    )
    layout = lay_out([moved], {})
    await pusher.sync(layout)
    assert as_held(memory) == wanted(layout)


async def test_what_calls_need_is_there_all_through_a_change(memory: PbxMemory) -> None:
    pusher = pusher_of(memory)
    await pusher.sync(lay_out([TRUNK], {}))
    memory.done.clear()
    moved = replace(
        TRUNK, sources=frozenset({ip_network("203.0.113.9/32")}), number="+31201234567"
    )
    await pusher.sync(lay_out([moved], {}))
    assert memory.done == ["put endpoint", "put identify", "delete identify"]
    memory.done.clear()
    nobody = replace(moved, username=None, password=None, registers=False, number=None)
    layout = lay_out([nobody], {})
    await pusher.sync(layout)
    assert memory.done == ["put endpoint", "delete registration", "delete auth"]
    assert as_held(memory) == wanted(layout)


async def test_a_list_of_networks_that_callers_may_come_from_does_not_grow(
    memory: PbxMemory,
) -> None:
    callers = replace(TRUNK, inbound_auth=True, registers=False)
    pusher = pusher_of(memory)
    await pusher.sync(lay_out([callers], {}))
    layout = lay_out([replace(callers, sources=frozenset({ip_network("203.0.113.9/32")}))], {})
    await pusher.sync(layout)
    assert as_held(memory) == wanted(layout)


@pytest.mark.parametrize("seen", [True, False])
async def test_a_variable_that_others_set_at_an_endpoint_is_taken_away(
    memory: PbxMemory, seen: bool
) -> None:
    pusher, layout = pusher_of(memory), lay_out([TRUNK], {})
    await pusher.sync(layout)
    await memory.put("endpoint", ENDPOINT, (("set_var", "SOVEREIGN_TRUNK=another"),))
    if seen:
        assert await pusher.verify(layout) == [f"endpoint {ENDPOINT}"]
    else:  # a change comes first, which the PBX refuses to make in its place
        layout = lay_out([replace(TRUNK, number="+31201234567")], {})
        assert await pusher.sync(layout) == 1
    assert as_held(memory) == wanted(layout)


async def test_a_new_password_registers_anew(memory: PbxMemory) -> None:
    pusher = pusher_of(memory)
    await pusher.sync(lay_out([TRUNK], {}))
    memory.done.clear()
    await pusher.sync(lay_out([replace(TRUNK, password="better")], {}))
    assert memory.done == ["put auth", "delete registration", "put registration"]


async def test_a_restarted_pbx_gets_everything_again(memory: PbxMemory) -> None:
    pusher, layout = pusher_of(memory), lay_out([TRUNK], {})
    await pusher.sync(layout)
    memory.things.clear()
    memory.variables.clear()
    pusher.forget()
    await pusher.sync(layout)
    assert as_held(memory) == wanted(layout)


@pytest.mark.parametrize("gone", [True, False])
async def test_what_others_removed_or_changed_is_made_again(memory: PbxMemory, gone: bool) -> None:
    pusher, layout = pusher_of(memory), lay_out([TRUNK], {})
    await pusher.sync(layout)
    assert await pusher.verify(layout) == []
    (identify,) = (key for key in memory.things if key[0] == "identify")
    if gone:
        del memory.things[identify]
    else:
        memory.things[identify].append(("match", "198.51.100.0/24"))
    assert await pusher.verify(layout) == [f"identify {identify[1]}"]
    assert as_held(memory) == wanted(layout)
    assert await pusher.verify(layout) == []


async def test_a_controller_that_takes_over_leaves_what_is_right_alone(memory: PbxMemory) -> None:
    layout = lay_out([TRUNK], {})
    await pusher_of(memory).sync(layout)
    assert memory.variables[FINGERPRINT] == fingerprint(layout)
    memory.done.clear()
    heir = pusher_of(memory)
    assert await heir.sync(layout) == 0
    assert memory.done == []
    assert await heir.verify(layout) == []


async def test_a_controller_that_takes_over_after_a_change_leaves_all_else_as_it_is(
    memory: PbxMemory,
) -> None:
    await pusher_of(memory).sync(lay_out([TRUNK], {}))
    memory.done.clear()
    another = replace(
        TRUNK,
        id=ONE.replace("6f", "7f"),
        username=None,
        sources=frozenset({ip_network("203.0.113.2/32")}),
    )
    layout = lay_out([TRUNK, another], {})
    heir = pusher_of(memory)
    assert await heir.sync(layout) == 4
    assert memory.done == ["put aor", "put aor", "put endpoint", "put identify"]
    assert as_held(memory) == wanted(layout)
    assert await heir.verify(layout) == []


async def test_a_controller_that_takes_over_replaces_and_removes_what_is_not_wanted(
    memory: PbxMemory,
) -> None:
    callers = replace(TRUNK, id=ONE.replace("6f", "7f"), inbound_auth=True, username="callers")
    await pusher_of(memory).sync(lay_out([TRUNK, callers], {}))
    moved = replace(TRUNK, transport="tcp", sources=frozenset({ip_network("203.0.113.9/32")}))
    layout = lay_out([moved], {})
    await pusher_of(memory).sync(layout)
    assert as_held(memory) == wanted(layout)


async def test_an_object_that_the_pbx_refuses_stops_no_other(memory: PbxMemory) -> None:
    memory.refuses = {"registration"}
    pusher, layout = pusher_of(memory), lay_out([TRUNK], {})
    assert await pusher.sync(layout) == 5
    assert pusher.refused == [f"registration {NAME}"]
    memory.refuses = set()
    await pusher.verify(layout)
    assert as_held(memory) == wanted(layout)
