"""What a realtime transcription session's events mean. Pure: events in, transcripts out.

A session cuts the audio into items. An item is committed by our flush, or by a server that
detects turns by itself; its text grows by deltas and is done when completed or failed:

    appended audio ──commit──► committed(item) ──► delta* ──► completed | failed
                     └───────► error commit_empty

Items are reported in the order they were committed, whatever the order they were done in. A
flush is tied to the first item that appears after it, or to none when the server says that there
was nothing to commit; it is answered when that item and all before it are done. What comes about
an item that was reported already, such as its completion once more, is passed over. So is a text
that comes again as an item of its own, for which neither we nor the server has cut audio off.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sovereign_ari.speech.base import Transcript

_PREFIX = "conversation.item.input_audio_transcription."
_EMPTY = "input_audio_buffer_commit_empty"
_REMEMBERED = 100


@dataclass(slots=True)
class _Item:
    """One piece of audio.

    Attributes:
        id: The server's name for it, None while only our flush is known.
        flush: Number of the flush it answers, None when the server committed by itself.
        end: Position in the audio log behind it.
        text: So far.
        committed: Whether the server has said that it is cut off.
        done: Whether nothing more comes.
    """

    id: str | None
    flush: int | None
    end: int
    text: str = ""
    committed: bool = False
    done: bool = False


class TranscriptionItems:
    """The items of one session and the transcripts to hand out.

    Attributes:
        out: Transcripts for the listener, oldest first. Partial ones replace each other, so it
            holds at most one more entry than there were commits.
        done_until: Position in the audio log up to which everything is recognised.
        failed: Items that the server could not transcribe.
        completed: Items that it did.
    """

    def __init__(self) -> None:
        self.out: deque[Transcript] = deque()
        self.done_until = 0
        self.failed = 0
        self.completed = 0
        self._items: deque[_Item] = deque()
        self._reported: deque[str] = deque(maxlen=_REMEMBERED)
        self._text = ""  # of the item reported last

    @property
    def waiting(self) -> bool:
        """Whether a flush is unanswered."""
        return any(item.flush is not None for item in self._items)

    def flush(self, number: int, position: int, *, empty: bool) -> None:
        """Note a flush; `empty` when no commit is sent because there is nothing to recognise."""
        growing = self._items[-1] if self._items else None
        if growing is not None and growing.flush is None and not growing.committed and not empty:
            growing.flush, growing.end = number, position
            return
        self._items.append(_Item(None, number, position, committed=empty, done=empty))
        self._report()

    def restart(self) -> list[int]:
        """Forget what an ended connection had begun; return the flushes still to be answered."""
        flushes = [item.flush for item in self._items if item.flush is not None]
        self._items.clear()
        self._reported.clear()  # another connection may use the same names
        self._text = ""
        return flushes

    def on_event(self, event: Mapping[str, Any], position: int) -> None:
        """Take one server event; `position` is where the audio log ends now."""
        kind = str(event.get("type", ""))
        if event.get("item_id") is not None and str(event["item_id"]) in self._reported:
            return
        if kind == "input_audio_buffer.committed":
            item = self._item(str(event.get("item_id")), position)
            item.committed = True
            if item.flush is None:
                item.end = position
        elif kind == "error":
            self._on_error(event.get("error"))
        elif kind.startswith(_PREFIX):
            self._on_text(kind.removeprefix(_PREFIX), event, position)
        self._report()

    def _on_text(self, what: str, event: Mapping[str, Any], position: int) -> None:
        if what not in ("delta", "completed", "failed"):
            return
        item = self._item(str(event.get("item_id")), position)
        if what == "delta":
            item.text += str(event.get("delta") or "")
            self._partial()
            return
        item.done = True
        if what == "failed":
            self.failed += 1
            item.text = ""
        else:
            self.completed += 1
            item.text = str(event.get("transcript") or "")

    def _on_error(self, error: object) -> None:
        """A refused commit answers its flush; other errors concern no item."""
        details = error if isinstance(error, Mapping) else {}
        flush = _flush_number(details.get("event_id"))
        if flush is None and details.get("code") != _EMPTY:
            return
        for item in self._items:
            if item.id is None and flush in (None, item.flush):
                item.done = True
                return

    def _item(self, item_id: str, position: int) -> _Item:
        """Find an item, or tie a new one to the oldest flush without one, or to none."""
        for item in self._items:
            if item.id == item_id:
                return item
        for item in self._items:
            if item.id is None and not item.done:
                item.id = item_id
                return item
        self._items.append(_Item(item_id, None, position))
        return self._items[-1]

    def _partial(self) -> None:
        text = " ".join(item.text.strip() for item in self._items if item.text.strip())
        if self.out and not self.out[-1].final:
            self.out.pop()
        self.out.append(Transcript(text, final=False))

    def _report(self) -> None:
        """Hand out what is done, in order."""
        while self._items and self._items[0].done:
            item = self._items.popleft()
            self.done_until = max(self.done_until, item.end)
            if item.id is not None:
                self._reported.append(item.id)
            text = item.text.strip()
            cut = item.committed or item.flush is not None
            repeated = not cut and text == self._text
            self._text = text or self._text
            if (text and not repeated) or item.flush is not None:
                self.out.append(Transcript(text, final=True, flushed=item.flush is not None))


def flush_event_id(number: int) -> str:
    """Name a commit, so that an error about it can be told from others."""
    return f"flush-{number}"


def _flush_number(event_id: object) -> int | None:
    digits = str(event_id).removeprefix("flush-")
    return int(digits) if event_id and digits.isdigit() and digits.isascii() else None
