"""Parts that imports from every platform share. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sovereign_ari.importers.source import Source

LONGEST_TEXT = 20_000


class Catalogue(Protocol):
    """What providers take."""

    def validate(self, kind: str, block: Mapping[str, Any]) -> list[str]:
        """Say what is wrong with a block, one line `<kind>_config.field: what` per fault."""


def fit(
    catalogue: Catalogue, kind: str, block: dict[str, Any], source: Source, path: str
) -> dict[str, Any] | None:
    """Leave out what a provider does not take here; None when there is no such provider.

    Each thing left out is noted.
    """
    block = {name: value for name, value in block.items() if value is not None}
    prefix = f"{kind}_config."
    for _ in range(len(block) + 1):
        wrong = catalogue.validate(kind, block)
        if not wrong:
            return block
        field, _, why = wrong[0].removeprefix(prefix).partition(": ")
        name = field.partition(".")[0].partition("[")[0]
        if name == "provider" or name not in block:
            source.note(path, f"{field}: {why}; the platform's default is used")
            return None
        source.note(f"{path}.{name}", f"{why}; left out")
        del block[name]
    return None


def language_of(tag: str | None) -> str | None:
    """Our language for a BCP 47 tag: its first part."""
    return None if tag is None else tag.lower().partition("-")[0]


def phrases(
    source: Source, path: str, most: int, longest: int, letters: int = 1
) -> list[str] | None:
    """A list of short texts; those we have no room for are noted."""
    found = source.take(path, list)
    if not found:
        return None
    good = [
        phrase
        for phrase in found
        if isinstance(phrase, str)
        and len(phrase) <= longest
        and sum(letter.isalnum() for letter in phrase) >= letters
    ]
    if len(good[:most]) < len(found):
        source.note(path, f"{len(good[:most])} of {len(found)} were carried over")
    return good[:most] or None


def system_messages(source: Source, path: str, texts: list[str]) -> list[dict[str, str]]:
    """The prompt, with a word about placeholders, which calls do not fill in."""
    if any("{{" in text for text in texts):
        source.note(path, "holds placeholders such as {{name}}, which stay as they are written")
    return [{"role": "system", "content": text} for text in texts if text.strip()]


def without_empty(body: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not there, also one level down."""
    kept = {}
    for name, value in body.items():
        inner = without_empty(value) if name == "speech_config" or _is_part(value) else value
        if inner not in (None, {}, []):
            kept[name] = inner
    return kept


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and None in value.values()
