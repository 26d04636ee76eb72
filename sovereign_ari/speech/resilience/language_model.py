"""A language model that is asked again, or replaced, when it fails or keeps the caller waiting.

What happens to one reply:

* A fault that may pass: the same model once more, after `Retry-After` when that is short. A long
  one, a refusal (a bad key), a second fault: the next fall-back at once.
* No first token for the model's usual time (its p95): a second request beside the first, to the
  next fall-back, or to the same model when there is none. Who begins first goes on, the other is
  hung up on. Once per reply, and for a share of them only.
* No token for longer than a caller can wait: the next fall-back.
* A fault in the middle: what was said is said. Whoever is asked next is told what that was, and to
  go on behind the last word, so that the caller hears one reply.
* A fault behind a tool call: the reply is over, for the model is asked again with its result. It
  is noted, and counts as one.
* All have failed: the primary's fault is raised, and the dialogue apologises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.base import (
    LanguageModel,
    Message,
    ReplyPart,
    Token,
    ToolCall,
    ToolSpec,
)
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.hedging import Paces
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.seam import Seam, continued
from sovereign_ari.speech.resilience.search import ON_THE_PHONE, Deadlines, Search


class ResilientLanguageModel:
    """The model of one call: a primary and its fall-backs.

    Args:
        candidates: Whom to ask, the primary first.
        notes: For the timeline.
        paces: How soon models usually begin; None never sends a second request.
        deadlines: How long to wait.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[LanguageModel]],
        notes: ProviderNotes,
        paces: Paces | None = None,
        deadlines: Deadlines = ON_THE_PHONE,
    ) -> None:
        self._candidates = candidates
        self._notes = notes
        self._paces = paces
        self._deadlines = deadlines
        self._label = candidates[0].label

    @property
    def label(self) -> str:
        """Who began to answer last, before that the primary: `provider/model`."""
        return self._label

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """See `LanguageModel`. Closing it ends every request at once."""
        search = Search(self._candidates, self._notes, self._paces, self._deadlines)
        said, called = "", False
        try:
            while True:
                seam = Seam(said)
                asked = continued(messages, said) if said.strip() else messages
                attempt = await search.begin(asked, tools)
                self._label = attempt.label
                try:
                    async with aclosing(search.rest_of(attempt)) as parts:
                        async for part in parts:
                            if isinstance(part, ToolCall):
                                called = True
                            elif isinstance(part, Token):
                                part = Token(seam.join(part.text))
                                said += part.text
                            if part != Token(""):
                                search.passed_on()
                                yield part
                    if text := seam.end():
                        search.passed_on()
                        yield Token(text)
                except ProviderError as error:
                    await search.lose(attempt, error)
                    if called:
                        self._notes.retry(attempt.label, error, search.quiet_s)
                        return
                else:
                    return
        finally:
            await search.close()
