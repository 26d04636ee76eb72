"""Tools that still run when the reply that called them has been cut."""

from __future__ import annotations

from sovereign_ari.conversation.history import History
from sovereign_ari.conversation.thinking import Thought
from sovereign_ari.conversation.tool_runs import ToolRun
from sovereign_ari.conversation.turn_log import TurnBook, TurnLog

LATE = "A tool that was still running has answered: its result stands above. Tell the caller."


class UnfinishedTools:
    """Puts their results where they belong: in the history, and in the record of their turn."""

    def __init__(self, history: History, book: TurnBook) -> None:
        self._history = history
        self._book = book
        self._turns: dict[ToolRun, TurnLog] = {}

    def add(self, entry: TurnLog) -> None:
        """Take over the tools of a turn that is over."""
        self._turns |= {run: entry for run in entry.thought.runs if run.answer is None}

    def any_of(self, thought: Thought) -> bool:
        """Whether a tool of this reply still runs."""
        return any(run in self._turns for run in thought.runs)

    def finish(self, run: ToolRun) -> bool:
        """Take a result; True when the model is to say what it makes of it.

        That is when nothing else waits for it, and its reply waited for no other.
        """
        if (entry := self._turns.pop(run, None)) is None:
            return False
        self._history.set_result(run.message)
        self._book.amend(entry)
        return not (run.taken_over or self.any_of(entry.thought))

    def give_up(self) -> None:
        """Record that the call ended before they did."""
        for entry in {turn.number: turn for turn in self._turns.values()}.values():
            self._book.amend(entry)
        self._turns.clear()
