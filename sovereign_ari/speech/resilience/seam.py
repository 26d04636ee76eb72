"""Where one model's reply breaks off and another's goes on. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sovereign_ari.speech.base import Message

GO_ON = (
    "(The line broke off here. Go on right behind your last word: repeat nothing, do not greet and"
    " do not mention it.)"
)


def continued(messages: Sequence[Message], said: str) -> list[Message]:
    """Ask for the rest of a reply of which `said` came."""
    # Not every server takes an instruction of the system behind a reply, nor a reply at the end.
    return [*messages, Message("assistant", said), Message("user", GO_ON)]


class Seam:
    """Joins the rest of a reply to what was said: with a space, and without saying it twice.

    Args:
        said: What came before the break.
    """

    def __init__(self, said: str) -> None:
        self._said = said
        self._begun = said.strip()
        self._held = ""
        self._closed = not self._begun

    def join(self, text: str) -> str:
        """Take text of the rest, and return what of it is to be said now.

        Text that may be the reply from its beginning is held back until that is clear.
        """
        if self._closed:
            return text
        self._held += text
        held = self._held.lstrip()
        if len(held) < len(self._begun) and self._begun.startswith(held):
            return ""
        self._closed = True
        if held.startswith(self._begun):
            rest = held.removeprefix(self._begun)
            return rest.lstrip() if self._said[-1:].isspace() else rest
        return self._spaced(self._held)

    def end(self) -> str:
        """Return what was held back and was no repetition after all."""
        held, self._held = ("", "") if self._closed else (self._held, "")
        self._closed = True
        return self._spaced(held) if held.strip() else ""

    def _spaced(self, text: str) -> str:
        """Tokens of models begin with their space, and words of a new reply with none."""
        bare = text[:1].isalnum() and self._said[-1:] and not self._said[-1:].isspace()
        return f" {text}" if bare else text
