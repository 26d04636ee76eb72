"""One reply, from the model's first token to its last packet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from sovereign_ari.conversation.aside import Aside, words_for
from sovereign_ari.conversation.sentences import LONGEST_CHARS, SentenceSplitter, speakable
from sovereign_ari.conversation.thinking import Thinker
from sovereign_ari.conversation.turn_log import TurnLog
from sovereign_ari.conversation.voice import Speech
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.base import Message

PIECES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """How a reply ended that nobody cut.

    Attributes:
        hang_up: The model wants the call to end.
        reason: Why, when the call is to end after it.
        error: The provider fault that stopped it.
    """

    hang_up: bool = False
    reason: EndReason | None = None
    error: ProviderError | None = None


class Reply:
    """Thinks and speaks at once: the next piece is written while one is synthesised.

    Args:
        log: Its record.
        speech: Its voice.
        thinker: Its model.
        on_closing: Called when the model has decided to hang up, before the farewell ends.

    Attributes:
        reason: Why the call ends after it; set from outside for a last line.
    """

    def __init__(
        self, log: TurnLog, speech: Speech, thinker: Thinker, on_closing: Callable[[], None]
    ) -> None:
        self.log = log
        self.speech = speech
        self.reason: EndReason | None = None
        self._thinker = thinker
        self._on_closing = on_closing
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue(PIECES_AHEAD)
        self._idle = False
        self._asks = False

    @property
    def awaits_model(self) -> bool:
        """Whether the caller waits for the model, and has heard nothing since it was asked."""
        thought = self.log.thought
        if not (self._asks and thought.awaited):
            return False
        begun = speakable(thought.text[thought.told_chars :])
        return not begun and all(run.answer is not None for run in thought.runs)

    @property
    def is_quiet(self) -> bool:
        """Whether the next piece is waited for, and what was said has left."""
        return self._idle and self._pieces.empty() and self.speech.is_over

    def interject(self, line: str) -> None:
        """Say a line of our own while it is quiet."""
        if self.awaits_model:
            self.log.thought.add_filler(line)
        else:
            self.log.thought.add_line(line)
        self._pieces.put_nowait(line)

    async def run(
        self, history: list[Message], line: str | Aside | None, farewell: str
    ) -> ReplyEnd:
        """Speak `line`, or else the model's answer to `history`, to its last packet.

        Cancelling it stops model and synthesiser; what was heard is up to whoever cancels.
        """
        thought = self.log.thought
        thinking = asyncio.create_task(self._think(history, line), name="think")
        try:
            await self._speak()
            await thinking
            if thought.hang_up:
                self._on_closing()
                if thought.is_empty:
                    thought.add_line(farewell)
                    await self.speech.say(farewell)
            await self.speech.finish()
        except ProviderError as error:
            await self.speech.finish()
            return ReplyEnd(error=error)
        finally:
            thinking.cancel()
            await asyncio.wait((thinking,))
        return ReplyEnd(hang_up=thought.hang_up, reason=self.reason)

    async def _think(self, history: list[Message], line: str | Aside | None) -> None:
        if isinstance(line, Aside):
            source = words_for(line, self._thinker, history, self.log.thought)
        elif line:
            source = self._line(line)
        else:
            self._asks = True
            source = self._thinker.pieces(history, self.log.thought)
        try:
            async with aclosing(source) as pieces:
                async for piece in pieces:
                    await self._pieces.put(piece)
        finally:  # whatever happened, `_speak` must not wait for more; when cancelled, it is over
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                await self._pieces.put(None)

    async def _line(self, line: str) -> AsyncGenerator[str, None]:
        self.log.thought.text = line
        self.log.thought.complete = True
        splitter = SentenceSplitter()
        long = len(line) > LONGEST_CHARS
        for piece in [*splitter.push(line), *splitter.flush()] if long else [line]:
            yield piece

    async def _speak(self) -> None:
        while True:
            self._idle = True
            piece = await self._pieces.get()
            self._idle = False
            if piece is None:
                break
            await self.speech.say(piece)
