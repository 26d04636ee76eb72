"""The providers of a call: the organisation's own keys of vendors first, else the platform's."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, TypeVar

from db.byok import Opens, open_key
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.agent import Assistant, Config
from sovereign_ari.errors import ProviderError, VaultClosed
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.registry import Keys, ProviderRegistry, load_catalogue
from sovereign_ari.speech.resilience.breaker import Breakers, Line
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import Note, ProviderNotes
from sovereign_ari.speech.unusable import Unusable

FALLBACK = "fallback"
Kind: TypeAlias = Literal["stt", "llm", "tts"]


class _Labelled(Protocol):
    @property
    def label(self) -> str:
        """`provider/model`."""


_P = TypeVar("_P", bound=_Labelled)

_log = logging.getLogger(__name__)


class OwnKeys:
    """Opens the keys that calls carry; a key that does not open is logged once, not per call."""

    def __init__(self, vault: Opens) -> None:
        self._vault = vault
        self._closed: set[tuple[str, str]] = set()

    def of(self, assistant: Assistant) -> Keys:
        """The keys of an assistant's organisation; None stands for one that does not open."""
        return {provider: self._open(assistant, provider) for provider in assistant.sealed_keys}

    def _open(self, assistant: Assistant, provider: str) -> str | None:
        owner = assistant.organisation_id
        try:
            key = open_key(self._vault, owner, provider, assistant.sealed_keys[provider])
        except VaultClosed as error:
            if (owner, provider) not in self._closed:
                self._closed.add((owner, provider))
                _log.error(  # a sentence for the operator says it all
                    "the key for %s of organisation %s cannot be opened: %s",
                    provider,
                    owner,
                    error,
                )
            return None
        self._closed.discard((owner, provider))
        return key


class CallProviders:
    """Providers of an assistant; one that cannot work fails when it is used, not before.

    Args:
        registry: Makes them.
        keys: Opens the organisations' own keys.
        apology: Spoken beforehand, for calls whose voice fails.
        breakers: The circuits of this process.
    """

    def __init__(
        self,
        registry: ProviderRegistry,
        keys: OwnKeys,
        apology: tuple[bytes, AudioFormat],
        breakers: Breakers | None = None,
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._apology, self._apology_format = apology
        self._breakers = breakers or Breakers()
        self._catalogue = load_catalogue()

    def for_assistant(self, assistant: Assistant, note: Note) -> Providers:
        """See `ProviderSource`."""
        registry, own = self._registry, self._keys.of(assistant)
        stt = self._candidates("stt", registry.speech_to_text, assistant, own, note)
        llm = self._candidates("llm", registry.language_model, assistant, own, note)
        tts = self._candidates("tts", registry.text_to_speech, assistant, own, note)
        return Providers(
            stt=stt[0].provider,
            llm=llm[0].provider,
            tts=tts[0].provider,
            apology=self._apology,
            apology_format=self._apology_format,
        )

    def _candidates(
        self,
        kind: Kind,
        make: Callable[[Config, Keys], _P],
        assistant: Assistant,
        own: Keys,
        note: Note,
    ) -> list[Candidate[_P | Unusable]]:
        """The primary and the fall-backs that can work. A primary that cannot is kept, as such."""
        block: Config = getattr(assistant, kind)
        primary = {name: value for name, value in block.items() if name != FALLBACK}
        candidates: list[Candidate[_P | Unusable]] = []
        for number, config in enumerate((primary, *(block.get(FALLBACK) or ()))):
            try:
                made = make(config, own)
            except ProviderError as error:
                label = str(config.get("provider"))
                if number:
                    ProviderNotes(note, kind).unusable(label, error)
                else:
                    candidates.append(Candidate(Unusable(label, error), label))
                continue
            line = Line(kind, made.label, self._account(kind, config, assistant, own))
            candidates.append(Candidate(made, made.label, self._breakers.of(line)))
        return candidates

    def _account(self, kind: Kind, config: Config, assistant: Assistant, own: Keys) -> str:
        """Tell apart who pays, and whose server it is; empty for the platform's own key."""
        keys = [own[name] for name in self._catalogue.keys_for(kind, config) if name in own]
        urls = sorted(self._catalogue.urls(kind, config).values())
        if not (keys or urls):
            return ""
        facts = repr((assistant.organisation_id, keys, urls))
        return hashlib.sha256(facts.encode()).hexdigest()
