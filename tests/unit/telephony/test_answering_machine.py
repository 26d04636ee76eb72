"""AMD() beside a call: what the listener's channel is told, and what comes of its silence."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sovereign_ari.domain.answering_machine import PbxVerdict
from sovereign_ari.domain.ids import ChannelId, leg_of
from sovereign_ari.telephony.answering_machine import LEG_NAME, ask_pbx
from sovereign_ari.wire.ari_messages import Channel, StasisStart
from tests.support.fake_calling import CALL, FakeCalling
from tests.support.virtual_time import run_in_virtual_time

CALLEE = ChannelId("callee")
LISTENER = leg_of(CALL, LEG_NAME)


class FakeListening(FakeCalling):
    """Takes a Snoop and sends it into the dialplan, which says `answer`."""

    def __init__(self, *answer: str, enters: bool = True, ends: bool = False) -> None:
        super().__init__()
        self.did: list[tuple[str, ...]] = []
        self._answer, self._enters, self._ends = answer, enters, ends

    async def ask(self, method: str, path: str, query: Mapping[str, str]) -> None:
        self.did.append((method, path, *sorted(query.values())))
        if self._enters:
            self.enter(LISTENER)

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        self.did.append((channel, *(f"{name}={value}" for name, value in values.items())))

    async def continue_in_dialplan(self, channel: str, context: str, exten: str) -> None:
        self.did.append((channel, context, exten))
        if self._answer:
            channel_ = Channel(id=channel)
            self.tell(StasisStart(type="StasisStart", channel=channel_, args=self._answer))
        elif self._ends:
            self.end(channel, 16)


def asked(fake: FakeListening) -> PbxVerdict | None:
    async def scene() -> PbxVerdict | None:
        async with fake.legs.open(LEG_NAME) as leg:
            return await ask_pbx(fake, CALLEE, leg, "our-app")  # type: ignore[arg-type]

    return run_in_virtual_time(scene())


def test_a_listener_hears_the_callee_runs_amd_and_brings_its_verdict() -> None:
    fake = FakeListening("leg", "amd", "MACHINE", "MAXWORDS-4-3")
    assert asked(fake) == PbxVerdict("MACHINE", "MAXWORDS-4-3")
    assert fake.did == [
        ("POST", f"channels/callee/snoop/{LISTENER}", "in", "leg", "our-app"),
        (LISTENER, "SOVEREIGN_APP=our-app"),
        (LISTENER, "sovereign-amd", "listen"),
    ]
    assert fake.hung_up == [(LISTENER, 16)]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (("leg", "amd"), PbxVerdict("", "")),
        (("leg", "amd", "", ""), PbxVerdict("", "")),
        (("leg", "amd", "NOTSURE"), PbxVerdict("NOTSURE", "")),
        (("leg",), None),
        (("odd", "amd", "HUMAN", ""), None),
    ],
)
def test_odd_answers_are_no_verdict(answer: tuple[str, ...], verdict: PbxVerdict | None) -> None:
    assert asked(FakeListening(*answer)) == verdict


@pytest.mark.parametrize(
    "fake",
    [lambda: FakeListening(enters=False), FakeListening, lambda: FakeListening(ends=True)],
    ids=["never enters", "never comes back", "ends"],
)
def test_a_listener_that_says_nothing_is_let_go(fake: type[FakeListening]) -> None:
    made = fake()
    assert asked(made) is None
    if made.hung_up:
        assert made.hung_up == [(LISTENER, 16)]
