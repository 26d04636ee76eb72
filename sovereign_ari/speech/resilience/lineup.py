"""From a provider block with its fall-backs to those that may do its work, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from sovereign_ari.domain.catalogue import Catalogue
from sovereign_ari.domain.fallback_blocks import FALLBACK, fallbacks_of
from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.resilience.breaker import Breakers, Line
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import Kind, ProviderNotes
from sovereign_ari.speech.unusable import Unusable

Block = Mapping[str, Any]
Keys = Mapping[str, str | None]


class Labelled(Protocol):
    """Anything that a registry makes."""

    @property
    def label(self) -> str:
        """`provider/model`."""


P = TypeVar("P", bound=Labelled)


class Lineups:
    """Lines providers up, each with its circuit.

    Args:
        catalogue: Knows whose keys a provider takes.
        breakers: The circuits of this process.
    """

    def __init__(self, catalogue: Catalogue, breakers: Breakers) -> None:
        self._catalogue = catalogue
        self._breakers = breakers

    def of(
        self,
        make: Callable[[Block, Keys], P],
        block: Block,
        own: Keys,
        notes: ProviderNotes,
    ) -> list[Candidate[P | Unusable]]:
        """Make the primary and its fall-backs.

        A fall-back that cannot work is left out, with a note. A primary that cannot is kept, and
        fails when it is asked: it is the one whose fault is to be told.

        Args:
            make: Makes a provider of a block.
            block: The primary's; `fallback` in it has the others'.
            own: The organisation's keys.
            notes: For the timeline.
        """
        primary = {name: value for name, value in block.items() if name != FALLBACK}
        candidates: list[Candidate[P | Unusable]] = []
        for number, config in enumerate((primary, *fallbacks_of(block))):
            try:
                made = make(config, own)
            except ProviderError as error:
                label = str(config.get("provider"))
                if number:
                    notes.unusable(label, error)
                else:
                    candidates.append(Candidate(Unusable(label, error), label))
                continue
            line = Line(notes.kind, made.label, self._account(notes.kind, config, own))
            candidates.append(Candidate(made, made.label, self._breakers.of(line)))
        return candidates

    def _account(self, kind: Kind, config: Block, own: Keys) -> str:
        """Tell apart who pays, and whose server it is; empty for the platform's own key."""
        keys = [own[name] for name in self._catalogue.keys_for(kind, config) if name in own]
        urls = sorted(self._catalogue.urls(kind, config).values())
        if not (keys or urls):
            return ""
        return hashlib.sha256(repr((keys, urls)).encode()).hexdigest()
