"""The last words when a provider is gone for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.own_words import own_words
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.conversation.voice import Speech
from sovereign_ari.domain.agent import Assistant

TIMEOUT_S = 3.0


class Apology:
    """That of one call, which is said once at most.

    Args:
        assistant: Who says it, in whose language.
        providers: Its voice, and the same spoken beforehand.
        mouth: Where it goes.
        clock: Monotonic seconds.
    """

    def __init__(
        self, assistant: Assistant, providers: Providers, mouth: Mouth, clock: Callable[[], float]
    ) -> None:
        self._words = own_words(assistant).apology
        self._providers = providers
        self._mouth = mouth
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether it is said, or was."""
        return self._task is not None

    def begin(
        self, group: asyncio.TaskGroup, then: Callable[[], None], *, voice_works: bool
    ) -> None:
        """Say it; `then` is called when it was heard, or left unsaid."""
        self._task = group.create_task(self._say(voice_works), name="apology")
        self._task.add_done_callback(lambda _: then())

    def leave_unsaid(self) -> None:
        """Stop saying it."""
        if self._task is not None:
            self._task.cancel()

    async def _say(self, voice_works: bool) -> None:
        """Say it in the assistant's voice if it still has one."""
        providers, words = self._providers, self._words
        speech = Speech(providers.tts, self._mouth, self._clock)
        self._mouth.resume()
        if not (voice_works and await speech.said_within(words, TIMEOUT_S)):
            speech.cut()
            speech = Speech(providers.tts, self._mouth, self._clock)
            speech.play(words, providers.apology, providers.apology_format)
        await speech.finish()
