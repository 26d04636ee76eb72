"""The providers of a call: the organisation's own keys of vendors first, else the platform's."""

from __future__ import annotations

import logging
from functools import partial

from db.byok import Opens, open_key
from sovereign_ari.apologies import Apologies
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.errors import VaultClosed
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.registry import Keys, ProviderRegistry, load_catalogue
from sovereign_ari.speech.resilience.breaker import Breakers
from sovereign_ari.speech.resilience.hedging import Paces
from sovereign_ari.speech.resilience.language_model import ResilientLanguageModel
from sovereign_ari.speech.resilience.lineup import Lineups
from sovereign_ari.speech.resilience.notes import Note, ProviderNotes
from sovereign_ari.speech.resilience.speech_to_text import ResilientSpeechToText
from sovereign_ari.speech.resilience.text_to_speech import ResilientTextToSpeech

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
        apologies: Spoken beforehand, for calls whose voice fails.
        breakers: The circuits of this process.
        paces: How soon models usually begin; None never sends a second request beside a slow one.
        speculate: Whether models may be asked before the caller's turn is over.
    """

    def __init__(
        self,
        registry: ProviderRegistry,
        keys: OwnKeys,
        apologies: Apologies,
        breakers: Breakers | None = None,
        paces: Paces | None = None,
        *,
        speculate: bool = True,
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._apologies = apologies
        self._paces = paces
        self._speculate = speculate
        self._lineups = Lineups(load_catalogue(), breakers or Breakers())

    def for_assistant(self, assistant: Assistant, wire: AudioFormat, note: Note) -> Providers:
        """See `ProviderSource`."""
        registry, lineups, own = self._registry, self._lineups, self._keys.of(assistant)
        speaker = partial(registry.text_to_speech, wire=wire)
        stt_notes, llm_notes = ProviderNotes(note, "stt"), ProviderNotes(note, "llm")
        tts_notes = ProviderNotes(note, "tts")
        stt = lineups.of(registry.speech_to_text, assistant.stt, own, stt_notes)
        llm = lineups.of(registry.language_model, assistant.llm, own, llm_notes)
        tts = lineups.of(speaker, assistant.tts, own, tts_notes)
        return Providers(
            stt=ResilientSpeechToText(stt, stt_notes),
            llm=ResilientLanguageModel(llm, llm_notes, self._paces),
            tts=ResilientTextToSpeech(tts, tts_notes),
            apology=self._apologies.of(assistant),
            apology_format=self._apologies.audio,
            speculate=self._speculate,
        )
