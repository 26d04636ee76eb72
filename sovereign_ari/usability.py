"""Whether an assistant that is valid can also work here: with the keys, and in this release."""

from __future__ import annotations

from collections.abc import Callable

from sovereign_ari.call_providers import OwnKeys
from sovereign_ari.domain.agent import Assistant, Config
from sovereign_ari.domain.fallback_blocks import FALLBACK, fallbacks_of
from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.registry import Keys, ProviderRegistry


class Usability:
    """Tries to make the providers of an assistant, without using them.

    Args:
        registry: Makes them.
        keys: Opens the organisations' own keys.
    """

    def __init__(self, registry: ProviderRegistry, keys: OwnKeys) -> None:
        self._registry = registry
        self._keys = keys

    def faults(self, assistant: Assistant) -> list[str]:
        """Say which blocks cannot work, nor any of their fall-backs: `tts_config: why`."""
        registry, own = self._registry, self._keys.of(assistant)
        tried = {
            "llm_config": _fault(registry.language_model, assistant.llm, own),
            "stt_config": _fault(registry.speech_to_text, assistant.stt, own),
            "tts_config": _fault(registry.text_to_speech, assistant.tts, own),
        }
        return [f"{name}: {fault}" for name, fault in tried.items() if fault is not None]


def _fault(make: Callable[[Config, Keys], object], block: Config, own: Keys) -> str | None:
    """Why nothing of a block works: what is wrong with its primary."""
    first = None
    primary = {name: value for name, value in block.items() if name != FALLBACK}
    for one in (primary, *fallbacks_of(block)):
        try:
            make(one, own)
        except ProviderError as error:
            first = first or str(error)
        else:
            return None
    return first
