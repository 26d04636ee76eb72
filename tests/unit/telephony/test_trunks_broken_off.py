"""Pushing trunks into a PBX that stops answering in between."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from sovereign_ari.domain.trunk_objects import lay_out
from sovereign_ari.errors import AsteriskUnknown
from sovereign_ari.telephony.trunks import FINGERPRINT
from tests.support.pbx_memory import PbxMemory
from tests.unit.telephony.test_trunks import TRUNK, as_held, pusher_of, wanted


class Breaking(PbxMemory):
    """One that breaks off at the nth request, once, which it may have done all the same."""

    def __init__(self, at: int = 0, *, done_all_the_same: bool = True) -> None:
        super().__init__()
        self.left, self.done_all_the_same = at, done_all_the_same

    def breaks(self) -> bool:
        self.left -= 1
        return self.left == 0

    async def put(self, kind: str, name: str, fields: tuple[tuple[str, str], ...]) -> None:
        breaks = self.breaks()
        if not breaks or self.done_all_the_same:
            await super().put(kind, name, fields)
        if breaks:
            raise AsteriskUnknown("no answer")

    async def delete(self, kind: str, name: str) -> None:
        breaks = self.breaks()
        if not breaks or self.done_all_the_same:
            await super().delete(kind, name)
        if breaks:
            raise AsteriskUnknown("no answer")

    async def read(self, kind: str, name: str) -> list[tuple[str, str]] | None:
        if self.breaks():
            raise AsteriskUnknown("no answer")
        return await super().read(kind, name)

    async def set_global_variable(self, name: str, value: str) -> None:
        breaks = self.breaks()
        if not breaks or self.done_all_the_same:
            await super().set_global_variable(name, value)
        if breaks:
            raise AsteriskUnknown("no answer")


CHANGED = replace(
    TRUNK,
    password="better",
    transport="tcp",
    number="+31201234567",
    sources=frozenset({ip_network("203.0.113.9/32")}),
)
REQUESTS = 30
"""More than the change of `TRUNK` into `CHANGED` takes."""


@pytest.mark.parametrize("done_all_the_same", [True, False])
@pytest.mark.parametrize("heir", [True, False], ids=["heir", "same"])
@pytest.mark.parametrize("at", range(1, REQUESTS))
async def test_wherever_a_change_breaks_off_the_next_round_completes_it(
    at: int, heir: bool, done_all_the_same: bool
) -> None:
    memory = Breaking(done_all_the_same=done_all_the_same)
    pusher, layout = pusher_of(memory), lay_out([CHANGED], {})
    await pusher.sync(lay_out([TRUNK], {}))
    memory.done.clear()
    memory.left = at
    try:
        await pusher.sync(layout)
    except AsteriskUnknown:
        assert memory.left == 0
    else:
        assert memory.left > 0
        assert at > REQUESTS // 2, "the change takes fewer requests than this"
    memory.left = 0
    pusher = pusher_of(memory) if heir else pusher
    await pusher.sync(layout)
    assert as_held(memory) == wanted(layout)
    assert await pusher.verify(layout) == []
    registered = [what for what in memory.done if what.endswith(" registration")]
    assert registered[-2:] == ["delete registration", "put registration"]
    memory.done.clear()
    assert await pusher_of(memory).sync(layout) == 0, "whoever comes next knows all of it"
    assert memory.done == []


@pytest.mark.parametrize("at", range(1, REQUESTS))
async def test_what_was_confirmed_is_not_made_again_when_the_rest_breaks_off(at: int) -> None:
    memory = Breaking(at, done_all_the_same=False)
    pusher, layout = pusher_of(memory), lay_out([TRUNK], {})
    try:
        await pusher.sync(layout)
    except AsteriskUnknown:
        await pusher.sync(layout)
    puts = [what for what in memory.done if what.startswith("put ")]
    assert puts == [f"put {thing.kind}" for thing in layout.objects]
    assert as_held(memory) == wanted(layout)


async def test_a_controller_that_takes_over_from_one_that_broke_off_makes_only_the_rest() -> None:
    memory = Breaking(done_all_the_same=False)
    layout = lay_out([replace(TRUNK, registers=False, username=None)], {})
    memory.refuses = {"identify"}
    await pusher_of(memory).sync(layout)
    memory.refuses = set()
    memory.variables[FINGERPRINT] = "of another"
    memory.done.clear()
    await pusher_of(memory).sync(layout)
    assert memory.done == ["put identify"]


async def test_an_identify_of_which_nothing_was_confirmed_goes_when_it_is_not_wanted() -> None:
    memory = Breaking()
    pusher = pusher_of(memory)
    first = replace(TRUNK, registers=False, username=None)
    second, third = (
        replace(first, sources=frozenset({ip_network(network)}))
        for network in ("203.0.113.8/32", "203.0.113.9/32")
    )
    await pusher.sync(lay_out([first], {}))
    memory.left = 1  # an identify is all that changes
    with pytest.raises(AsteriskUnknown):
        await pusher.sync(lay_out([second], {}))
    layout = lay_out([third], {})
    await pusher.sync(layout)
    assert as_held(memory) == wanted(layout)
