"""From a provider block to a provider; what all of a process's providers share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from sovereign_ari.domain.catalogue import Catalogue
from sovereign_ari.errors import ProviderRefused
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import LanguageModel, SpeechToText, TextToSpeech
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.espeak_tts import EspeakTextToSpeech
from sovereign_ari.speech.google_credentials import GoogleAccounts
from sovereign_ari.speech.google_rpc import GoogleCloud, GoogleServers
from sovereign_ari.speech.google_stt import GoogleSpeechOptions, GoogleSpeechToText
from sovereign_ari.speech.google_tts import CHIRP, GoogleTextToSpeech, GoogleVoiceOptions
from sovereign_ari.speech.openai_compatible import (
    MISTRAL,
    MISTRAL_URL,
    OPENAI,
    XAI,
    XAI_URL,
    Dialect,
    Outgoing,
    dialect_at,
)
from sovereign_ari.speech.openai_llm import ChatOptions, OpenAILanguageModel
from sovereign_ari.speech.openai_stt import OpenAISpeechToText, TranscriptionOptions
from sovereign_ari.speech.openai_tts import OpenAITextToSpeech, VoiceOptions
from sovereign_ari.speech.parrot_llm import ParrotLanguageModel
from sovereign_ari.speech.pocketsphinx_stt import PocketsphinxSpeechToText, PocketsphinxWorker

_KEEP_ALIVE_S = 120.0
_CONNECTIONS = 1000
_WARM_UP_S = 3.0

Block = Mapping[str, Any]
Keys = Mapping[str, str | None]
"""Keys that an organisation brings, by provider. None is a key that is stored but unreadable."""
NO_KEYS: Keys = {}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the providers beyond OpenAI and the offline ones need.

    Attributes:
        outgoing: Where servers that organisations name may be; without it there are none.
        google_credentials: The operator's file of Google's credentials, if there is one.
        google: Google's servers.
        urls: Of vendors that speak OpenAI's protocol, by provider.
    """

    outgoing: Outgoing | None = None
    google_credentials: Path | None = None
    google: GoogleServers = field(default_factory=GoogleServers)
    urls: Mapping[str, str] = field(
        default_factory=lambda: {"mistral": MISTRAL_URL, "xai": XAI_URL}
    )


_DIALECTS = {"mistral": MISTRAL, "xai": XAI}


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue that ships with this package, once."""
    text = resources.files("sovereign_ari.speech").joinpath("catalogue.json").read_text("utf-8")
    return Catalogue(json.loads(text))


class ProviderRegistry:
    """Makes providers. One per process, as an async context manager.

    Connections, and the recogniser's process, are shared by all providers it makes and end with
    it.

    Args:
        openai_api_key: None when there is none; the OpenAI providers are refused then.
        openai_base_url: Of OpenAI, or of a server that speaks its protocols.
        elsewhere: What the other vendors need.
    """

    def __init__(
        self,
        *,
        openai_api_key: str | None,
        openai_base_url: str,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._catalogue = load_catalogue()
        self._openai_api_key = openai_api_key
        self._openai_base_url = openai_base_url.rstrip("/")
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None
        self._recogniser = PocketsphinxWorker()
        self._elsewhere = elsewhere or Elsewhere()
        self._guarded: aiohttp.ClientSession | None = None
        self._google = GoogleCloud(self._elsewhere.google)
        self._google_accounts = GoogleAccounts(self._elsewhere.google_credentials)
        self._tags = {
            entry["code"]: tuple(entry["bcp47"])
            for entry in self._catalogue.listing()["languages"]
        }

    async def __aenter__(self) -> ProviderRegistry:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S)
        self._session = await self._stack.enter_async_context(
            # Deadlines are set at each step by the providers.
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None))
        )
        await self._stack.enter_async_context(self._recogniser)
        self._stack.push_async_callback(self._google.close)
        if self._elsewhere.outgoing is not None:
            self._guarded = await self._stack.enter_async_context(
                self._elsewhere.outgoing.session()
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def recogniser_pid(self) -> int | None:
        """Process id of the offline recogniser while it runs."""
        return self._recogniser.pid

    async def warm_up(self) -> None:
        """Open a connection, or start the offline recogniser when there is no key.

        The first call need not wait for it then; failing is no error. Google's libraries are
        imported when the operator has an account: that takes a second.
        """
        if self._elsewhere.google_credentials is not None:
            await self._google.warm_up()
        if self._openai_api_key is None:
            await self._recogniser.start()
            return
        try:
            async with asyncio.timeout(_WARM_UP_S):
                async with self._http.get(
                    f"{self._openai_base_url}/models", headers=self._openai().headers
                ) as response:
                    await response.read()
        except (TimeoutError, aiohttp.ClientError):
            return

    def language_model(self, config: Block, own: Keys = NO_KEYS) -> LanguageModel:
        """Make the model of an `llm_config`.

        Args:
            config: The block.
            own: The organisation's keys, which go before the platform's.

        Raises:
            ProviderRefused: When the provider is unknown, not usable yet, or lacks its key.
        """
        block = self._complete("llm", config)
        if block["provider"] == "parrot":
            return ParrotLanguageModel(block.get("script", ()))
        options = ChatOptions(
            block["model"], block.get("temperature"), block.get("max_completion_tokens")
        )
        session, endpoint, dialect = self._chat_server(block, own)
        return OpenAILanguageModel(session, endpoint, options, dialect=dialect)

    def speech_to_text(self, config: Block, own: Keys = NO_KEYS) -> SpeechToText:
        """Make the recogniser of an `stt_config`.

        Raises:
            ProviderRefused: As for `language_model`.
        """
        block = self._complete("stt", config)
        if block["provider"] == "pocketsphinx":
            return PocketsphinxSpeechToText(
                self._recogniser, grammar=block.get("grammar"), phrases=block.get("phrases", ())
            )
        if block["provider"] == "google":
            speech = GoogleSpeechOptions(block["model"], self._tags[block["language"]])
            return GoogleSpeechToText(self._google, self._google_accounts.of(own), speech)
        options = TranscriptionOptions(block["model"], block["language"])
        return OpenAISpeechToText(self._http, self._openai(own), options)

    def text_to_speech(
        self, config: Block, own: Keys = NO_KEYS, wire: AudioFormat | None = None
    ) -> TextToSpeech:
        """Make the voice of a `tts_config`.

        Args:
            config: The block.
            own: The organisation's keys.
            wire: Format of the call's RTP: what a voice speaks that can choose.

        Raises:
            ProviderRefused: As for `language_model`.
        """
        block = self._complete("tts", config)
        if block["provider"] == "espeak":
            return EspeakTextToSpeech(block["voice_id"], words_per_minute=block["speed"])
        if block["provider"] == "google":
            voice = self._google_voice(block, config, own)
            return voice if wire is None else voice.for_wire(wire)
        options = VoiceOptions(
            block["model"], block["voice_id"], block.get("instructions"), block.get("speed")
        )
        return OpenAITextToSpeech(self._http, self._openai(own), options)

    def _google_voice(self, block: Block, config: Block, own: Keys) -> GoogleTextToSpeech:
        """Make one of Google's voices; a block that names no model gets the one that runs."""
        if config.get("model", CHIRP) != CHIRP:
            raise ProviderRefused(
                f"tts_config.model: {block['model']!r} cannot be used by this release;"
                f" {CHIRP!r} can"
            )
        language = block.get("language", "en")
        options = GoogleVoiceOptions(
            block["voice_id"],
            self._tags.get(language, (language,))[0],
            block.get("speaking_rate", 1.0),
        )
        return GoogleTextToSpeech(self._google, self._google_accounts.of(own), options)

    def _chat_server(
        self, block: Block, own: Keys
    ) -> tuple[aiohttp.ClientSession, Endpoint, Dialect]:
        """Choose the server of an `llm_config` that is asked in OpenAI's protocol."""
        provider = block["provider"]
        if provider == "openai":
            return self._http, self._openai(own), OPENAI
        key = own.get(provider)
        if provider in own and key is None:
            raise ProviderRefused(f"the organisation's own key for `{provider}` cannot be opened")
        if provider in _DIALECTS:
            if key is None:
                raise ProviderRefused(f"the provider `{provider}` needs a key of the organisation")
            return self._http, Endpoint(self._elsewhere.urls[provider], key), _DIALECTS[provider]
        base_url = block["base_url"].rstrip("/")
        outgoing = self._elsewhere.outgoing
        if outgoing is None or self._guarded is None:
            raise ProviderRefused("llm_config.base_url: this process calls no servers of others")
        if (fault := outgoing.fault(base_url)) is not None:
            raise ProviderRefused(f"llm_config.base_url: {fault}")
        return self._guarded, Endpoint(base_url, key), dialect_at(base_url)

    def _complete(self, kind: str, config: Block) -> dict[str, Any]:
        """Check a block again: it may have been stored by another release."""
        if faults := self._catalogue.validate(kind, config):
            raise ProviderRefused(faults[0])
        if not self._catalogue.available(kind, config["provider"]):
            raise ProviderRefused(
                f"{kind}_config.provider: {config['provider']!r} cannot be used by this release"
            )
        return self._catalogue.with_defaults(kind, config)

    def _openai(self, own: Keys = NO_KEYS) -> Endpoint:
        key = own.get("openai", self._openai_api_key)
        if key is not None:
            return Endpoint(self._openai_base_url, key)
        if "openai" in own:
            raise ProviderRefused("the organisation's own key for `openai` cannot be opened")
        raise ProviderRefused(
            "the provider `openai` needs OPENAI_API_KEY, which is not set, or a key of the"
            " organisation"
        )

    @property
    def _http(self) -> aiohttp.ClientSession:
        assert self._session is not None, "the registry is used before it is entered"
        return self._session
