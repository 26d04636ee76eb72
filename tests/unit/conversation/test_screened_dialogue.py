"""Conversations that we began, with humans and machines at the other end, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from sovereign_ari.conversation.screened_dialogue import ScreenedDialogue
from sovereign_ari.conversation.terms import Reporting
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.answering_machine import PbxVerdict
from sovereign_ari.domain.control import Say
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import ULAW_8K
from tests.support.scripted_speech import ScriptedStt
from tests.support.speech_samples import tone
from tests.unit.conversation.test_dialogue import ASSISTANT, NOON, Scene, converse

OUTBOUND = replace(
    ASSISTANT,
    first_message="Hello, this is Ann of the dentist.",
    voicemail_detection=True,
    voicemail_message="This is Ann. Please call us back.",
)
GREETING = "you have reached bob please leave a message after the beep"


class Outbound(Scene):
    """A call that we placed."""

    def __init__(self, *lines: str, assistant: Assistant = OUTBOUND) -> None:
        super().__init__(stt=ScriptedStt(*lines), assistant=assistant, outbound=True)
        self.facts: list[tuple[str, Mapping[str, object]]] = []
        clock = asyncio.get_running_loop().time
        reporting = Reporting(self._turn, self._tell, clock, lambda: NOON)
        self.dialogue = self.screened = ScreenedDialogue(
            CallId("call"), assistant, self.providers(), self.mouth, ULAW_8K, reporting
        )

    def _tell(self, kind: str, facts: Mapping[str, object]) -> None:
        self.notes.append(kind)
        self.facts.append((kind, facts))

    def noted(self, kind: str, name: str) -> list[object]:
        return [facts[name] for said, facts in self.facts if said == kind]

    async def beep(self, hz: float = 1000) -> None:
        sound = pcm_to_ulaw(tone(hz, 0.4))
        await self.frames(400, lambda n: sound[n * 160 :][:160])

    @property
    def said(self) -> list[tuple[str | None, str]]:
        return [(turn.user_text, turn.heard_text) for turn in self.turns.values()]


def outbound(*lines: str, **changes: object) -> Callable[[], Outbound]:
    return lambda: Outbound(*lines, assistant=replace(OUTBOUND, **changes))  # type: ignore[arg-type]


def test_a_human_hears_the_greeting_at_once_and_is_answered() -> None:
    async def human(it: Scene) -> None:
        await it.quiet(3000)
        await it.speak(600)
        await it.quiet(3000)

    it, ending = converse(human, outbound("hello who is this"))
    assert ending is None
    assert isinstance(it, Outbound)
    assert it.said == [
        (None, "Hello, this is Ann of the dentist."),
        ("hello who is this", "Yes."),
    ]
    assert it.noted("answered_by", "kind") == ["human"]


def test_a_voicemail_gets_the_message_behind_its_beep_and_nothing_else() -> None:
    async def voicemail(it: Scene) -> None:
        assert isinstance(it, Outbound)
        await it.quiet(800)
        await it.speak(4000)
        await it.quiet(1000)
        assert not it.dialogue.control(Say("Anybody there?", end_after=False))
        await it.beep()
        await it.quiet(6000)

    greeting = "Hello, this is Ann of the dentist, and I call about the day after tomorrow."
    it, ending = converse(voicemail, outbound(GREETING, first_message=greeting))
    assert isinstance(it, Outbound)
    assert ending is not None
    assert (ending.reason, ending.error) == (EndReason.VOICEMAIL, None)
    assert it.llm.asked == []
    first, *rest = it.said
    assert 0 < len(first[1]) < len(greeting), "it was cut"
    assert rest == [(GREETING, ""), (None, "This is Ann. Please call us back.")]
    assert it.noted("voicemail", "behind") == ["beep"]
    assert it.noted("answered_by", "kind") == ["voicemail"]
    assert it.noted("tone", "signal") == ["beep"]


def test_a_voicemail_without_a_message_for_it_is_hung_up_on() -> None:
    async def voicemail(it: Scene) -> None:
        await it.speak(4000)
        await it.quiet(3000)

    it, ending = converse(voicemail, outbound(GREETING, voicemail_message=None))
    assert isinstance(it, Outbound)
    assert ending is not None
    assert ending.reason is EndReason.VOICEMAIL
    assert it.said[-1] == (GREETING, "")
    assert it.noted("voicemail", "left") == [False]


def test_the_message_waits_for_silence_when_there_is_no_beep() -> None:
    async def voicemail(it: Scene) -> None:
        await it.speak(4000)
        await it.quiet(3000)
        assert isinstance(it, Outbound)
        assert it.noted("voicemail", "left") == []
        await it.quiet(6000)

    it, ending = converse(voicemail, outbound(GREETING))
    assert isinstance(it, Outbound)
    assert ending is not None
    assert ending.reason is EndReason.VOICEMAIL
    assert it.noted("voicemail", "behind") == ["silence"]
    assert it.said[-1] == (None, "This is Ann. Please call us back.")


def test_a_beep_that_comes_late_begins_the_message_again() -> None:
    async def voicemail(it: Scene) -> None:
        await it.speak(4000)
        await it.quiet(3500)
        assert isinstance(it, Outbound)
        await it.beep()
        await it.quiet(5000)

    it, ending = converse(voicemail, outbound(GREETING))
    assert isinstance(it, Outbound)
    assert ending is not None
    assert ending.reason is EndReason.VOICEMAIL
    assert it.noted("voicemail", "behind") == ["silence", "beep"]
    cut, whole = it.said[-2:]
    assert whole == (None, "This is Ann. Please call us back.")
    assert 0 < len(cut[1]) < len(whole[1])


def test_a_line_that_sends_nothing_behind_its_beep_is_heard_as_silent() -> None:
    async def voicemail(it: Scene) -> None:
        await it.speak(4000)
        assert isinstance(it, Outbound)
        await it.quiet(1000)
        await it.beep()
        loop = asyncio.get_running_loop()
        for _ in range(150):
            await asyncio.sleep(0.04)
            it.dialogue.tick(loop.time())

    it, ending = converse(voicemail, outbound(GREETING))
    assert isinstance(it, Outbound)
    assert ending is not None
    assert it.noted("voicemail", "behind") == ["beep"]


def test_a_human_behind_the_greeting_has_the_assistant_back_with_its_greeting() -> None:
    async def picked_up(it: Scene) -> None:
        await it.speak(3000)
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(5000)

    it, ending = converse(picked_up, outbound(GREETING, "hello? who is this?"))
    assert isinstance(it, Outbound)
    assert ending is None
    assert it.noted("answered_by", "kind") == ["voicemail", "human"]
    assert it.said[-1] == ("hello? who is this?", "Hello, this is Ann of the dentist.")


def test_a_call_screener_is_told_who_calls() -> None:
    async def screener(it: Scene) -> None:
        await it.speak(3000)
        await it.quiet(6000)
        await it.speak(600)
        await it.quiet(3000)

    asked = "please state your name and why you are calling"
    it, ending = converse(screener, outbound(asked, "hi this is bob"))
    assert isinstance(it, Outbound)
    assert ending is None
    assert it.noted("answered_by", "kind")[0] == "call_screening"
    assert (asked, "Hello, this is Ann of the dentist.") in it.said
    assert it.said[-1] == ("hi this is bob", "Yes.")


def test_the_pbx_and_fax_tones_are_heard() -> None:
    async def fax(it: Scene) -> None:
        assert isinstance(it, Outbound)
        await it.quiet(500)
        it.screened.pbx_heard(PbxVerdict("MACHINE", "INITIALSILENCE-2500-2500"))
        sound = pcm_to_ulaw(tone(2100, 2.0))
        await it.frames(2000, lambda n: sound[n * 160 :][:160])

    it, ending = converse(fax, outbound())
    assert isinstance(it, Outbound)
    assert ending is not None
    assert ending.reason is EndReason.UNREACHABLE
    assert it.noted("amd", "cause") == ["INITIALSILENCE-2500-2500"]
    assert it.noted("answered_by", "kind") == ["fax"]
    assert "voicemail" not in it.notes


def test_a_recogniser_that_fails_does_not_keep_the_message_from_a_voicemail() -> None:
    async def voicemail(it: Scene) -> None:
        assert isinstance(it, Outbound)
        await it.speak(4000)
        await it.quiet(900)
        it.dialogue._fail(ProviderUnavailable("gone"))
        await it.beep()
        await it.quiet(6000)

    it, ending = converse(voicemail, outbound(GREETING))
    assert isinstance(it, Outbound)
    assert ending is not None
    assert ending.reason is EndReason.VOICEMAIL
    assert it.said[-1] == (None, "This is Ann. Please call us back.")
