"""A call that we placed and that a fax, or nobody at all, answered, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from sovereign_ari.conversation.machine_tones import LISTENS_S, OutboundDialogue
from sovereign_ari.conversation.terms import Reporting
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import EndReason
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import ULAW_8K
from tests.support.scripted_speech import ScriptedStt
from tests.support.speech_samples import tone
from tests.unit.conversation.test_dialogue import ASSISTANT, NOON, Scene, converse

FAX = [(2100.0, 1.2)]
CALLING_FAX = [(1100.0, 0.5), (0.0, 3.0), (1100.0, 0.5), (0.0, 0.5)]
OUT_OF_SERVICE = [(950.0, 0.33), (1400.0, 0.33), (1800.0, 0.33), (0.0, 0.5)]
BUSY = [(425.0, 0.5), (0.0, 0.5)] * 4
BEEP = [(1000.0, 0.4), (0.0, 1.0)]


class Outbound(Scene):
    """A call that we placed, without detection of voicemails."""

    def __init__(self) -> None:
        super().__init__(stt=ScriptedStt("hello"), assistant=ASSISTANT, outbound=True)
        clock = asyncio.get_running_loop().time
        reporting = Reporting(self._turn, self._tell, clock, lambda: NOON)
        self.facts: list[object] = []
        self.dialogue = OutboundDialogue(
            CallId("call"), ASSISTANT, self.providers(), self.mouth, ULAW_8K, reporting
        )

    def _tell(self, kind: str, facts: object) -> None:
        self.notes.append(kind)
        if kind == "answered_by":
            self.facts.append(facts)

    async def send(self, tones: Sequence[tuple[float, float]]) -> None:
        for hz, lasts_s in tones:
            if hz:
                await self.frames(round(lasts_s * 1000), partial(_frame, tone(hz, lasts_s)))
            else:
                await self.quiet(round(lasts_s * 1000))


def _frame(pcm: bytes, number: int) -> bytes:
    return pcm_to_ulaw(pcm[number * 320 :][:320])


@pytest.mark.parametrize(
    ("tones", "kind", "reason"),
    [
        (FAX, "fax", EndReason.UNREACHABLE),
        (CALLING_FAX, "fax", EndReason.UNREACHABLE),
        (OUT_OF_SERVICE, "out_of_service", EndReason.UNREACHABLE),
        (BUSY, "busy", EndReason.BUSY),
    ],
)
def test_where_nobody_is_the_call_ends_and_says_why(
    tones: list[tuple[float, float]], kind: str, reason: EndReason
) -> None:
    async def machine(it: Scene) -> None:
        assert isinstance(it, Outbound)
        await it.quiet(600)
        await it.send(tones)
        await it.quiet(2000)

    it, ending = converse(machine, Outbound)
    assert ending is not None
    assert (ending.reason, ending.error) == (reason, None)
    assert isinstance(it, Outbound)
    assert [fact["kind"] for fact in it.facts] == [kind]  # type: ignore[index]


@pytest.mark.parametrize("late", [False, True])
def test_a_human_with_a_beep_and_a_late_tone_are_talked_to(late: bool) -> None:
    async def human(it: Scene) -> None:
        assert isinstance(it, Outbound)
        await it.quiet(1500)
        await it.speak(600)
        await it.send(BEEP)
        await it.quiet(2000)
        if late:
            await it.quiet(round(LISTENS_S * 1000))
            await it.send(FAX)

    it, ending = converse(human, Outbound)
    assert ending is None
    assert isinstance(it, Outbound)
    assert not it.facts
