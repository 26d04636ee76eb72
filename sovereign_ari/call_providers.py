"""The providers of a call: the organisation's own keys of vendors first, else the platform's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from db.byok import Opens, open_key
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.agent import Assistant, Config
from sovereign_ari.errors import ProviderError, VaultClosed
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.registry import Keys, ProviderRegistry
from sovereign_ari.speech.unusable import Unusable

_P = TypeVar("_P")

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
    """Providers of an assistant; one that cannot work fails when it is used, not before."""

    def __init__(
        self, registry: ProviderRegistry, keys: OwnKeys, apology: tuple[bytes, AudioFormat]
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._apology, self._apology_format = apology

    def for_assistant(self, assistant: Assistant) -> Providers:
        """See `ProviderSource`."""
        registry, own = self._registry, self._keys.of(assistant)
        return Providers(
            stt=_or_unusable(registry.speech_to_text, assistant.stt, own),
            llm=_or_unusable(registry.language_model, assistant.llm, own),
            tts=_or_unusable(registry.text_to_speech, assistant.tts, own),
            apology=self._apology,
            apology_format=self._apology_format,
        )


def _or_unusable(make: Callable[[Config, Keys], _P], config: Config, own: Keys) -> _P | Unusable:
    try:
        return make(config, own)
    except ProviderError as error:
        return Unusable(str(config.get("provider")), error)
