"""The line of an answered caller: does he talk, does he listen, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sovereign_ari.control.ports import CallServices
from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.terms import in_language_of
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.ids import CallId, ChannelId
from sovereign_ari.domain.silence import longest_silence_s
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.transcode import silence_frame
from sovereign_ari.telephony.silence import GOODBYES, EndedAlone, LineGuard, LineLimits
from sovereign_ari.wire.media_leg import MediaLeg


class CallersLine:
    """Passes on what the PBX says of a caller's line, and has it guarded.

    Args:
        leg: The call's audio.
        audio: Its format.
        note: Puts something on the call's timeline.
    """

    def __init__(
        self, leg: MediaLeg, audio: AudioFormat, note: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        self._leg = leg
        self._silence = silence_frame(audio)
        self._note = note
        self._held = False
        self._guard: LineGuard | None = None
        self._dialogue: Dialogue | None = None

    @property
    def longest_is_over(self) -> bool:
        """Whether the call has lasted as long as it may."""
        return self._guard is None or self._guard.longest_is_over

    def answering(
        self, services: CallServices, call: CallId, channel: ChannelId, assistant: Assistant
    ) -> Mapping[str, str]:
        """Prepare to guard it; returns what the dialplan must know before it answers."""
        silence_s = longest_silence_s(assistant.silence, assistant.silence_timeout_s)
        limits = LineLimits(
            assistant.max_duration_s, silence_s, in_language_of(assistant, GOODBYES)
        )
        self._guard = LineGuard(services.ari, call, channel, services.clock, limits)
        return limits.variables(call)

    def answered(self, dialogue: Dialogue) -> None:
        """Begin to guard it."""
        assert self._guard is not None
        self._dialogue = dialogue
        self._guard.start()

    async def let_go(self, at_most_s: float | None = None) -> None:
        """Leave the caller to the PBX until `back`, for so long or as long as the call may last.

        Raises:
            AsteriskRefused: If the caller is gone.
        """
        if self._guard is not None:
            await self._guard.let_go(at_most_s)

    def back(self) -> None:
        """Go on: the PBX had the caller, and gave him back."""
        if self._guard is not None:
            self._guard.bring_back()

    def talking(self, on: bool, now_s: float) -> None:
        """Note that it became loud, or quiet."""
        if self._dialogue is not None:
            self._dialogue.quiet.clock.talking(on, now_s)

    def pressed(self, now_s: float) -> None:
        """Note that the caller pressed a key: he is there."""
        if self._dialogue is not None:
            self._dialogue.quiet.pressed(now_s)

    def hold(self, on: bool) -> None:
        """Note that the caller's side put us on hold, or took us back."""
        if self._dialogue is None or on is self._held:
            return
        self._held = on
        self._leg.hold(on)
        self._dialogue.quiet.clock.hold(on)
        self._note("hold", {"on": on})

    def heard(self, frame: bytes) -> bytes:
        """What the caller said: what comes while we are on hold is not his."""
        return self._silence if self._held else frame

    async def ended_alone(self) -> EndedAlone | None:
        """How the PBX ended the call, when it minded it alone; to be asked after the hang-up."""
        guard = self._guard
        if guard is None or not guard.has_lapsed:
            return None
        return await guard.ended_alone()

    async def stop(self) -> None:
        """Guard it no longer: the call ends."""
        if self._guard is not None:
            await self._guard.stop()
