"""All fake vendors at once, behind a registry: for tests that hold for every provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Protocol

from sovereign_ari.outgoing.http import guarded_connector
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.speech.base import LanguageModel, SpeechToText, TextToSpeech
from sovereign_ari.speech.openai_compatible import Outgoing
from sovereign_ari.speech.registry import (
    NO_KEYS,
    Block,
    Elsewhere,
    Keys,
    ProviderRegistry,
    load_catalogue,
)
from sovereign_ari.speech.resilience.breaker import Breakers
from sovereign_ari.speech.resilience.language_model import ResilientLanguageModel
from sovereign_ari.speech.resilience.lineup import Lineups
from sovereign_ari.speech.resilience.notes import Kind as ProviderKind
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.speech_to_text import ResilientSpeechToText
from sovereign_ari.speech.resilience.text_to_speech import ResilientTextToSpeech
from tests.support.fake_google import FakeGoogle, fake_google, service_account
from tests.support.fake_google_faults import GoogleFault
from tests.support.fake_openai import FakeOpenAI, Fault, fake_openai
from tests.support.fake_openai_faults import Kind

NAMES = ("openai", "openai_compatible", "mistral", "xai")


def keys(name: str) -> dict[str, str | None]:
    """Keys of an organisation for all vendors: `good` ones, or others."""
    return {**dict.fromkeys(NAMES, name), "google_vertex": service_account(name)}


GOOD, BAD = keys("good"), keys("bad")


@dataclass(frozen=True)
class Trouble:
    """One way to fail, whoever the vendor is.

    Attributes:
        status: Answered at once; None for a connection that breaks.
        after: Pieces served before it breaks.
        after_s: Seconds before it breaks, in place of pieces.
        silent: Ends properly, without content, in place of breaking.
        times: Requests it hits; None hits all.
    """

    status: int | None = None
    after: int = 0
    after_s: float = 0.0
    silent: bool = False
    times: int | None = None

    @property
    def openai(self) -> Fault:
        """At a server that speaks OpenAI's protocols."""
        kind: Kind = "silent" if self.silent else "drop"
        return Fault(
            "status" if self.status else kind,
            status=self.status or 500,
            retry_after_s=4 if self.status == 429 else None,
            after=self.after,
            after_s=self.after_s,
            times=self.times,
        )

    @property
    def google(self) -> GoogleFault:
        """At Google."""
        return GoogleFault(
            "silent" if self.silent else "status",
            status=self.status or 503,
            retry_after_s=4 if self.status == 429 else None,
            after=self.after,
            after_s=self.after_s,
            times=self.times,
        )


class Makes(Protocol):
    """What makes providers."""

    def language_model(self, config: Block, own: Keys = NO_KEYS) -> LanguageModel:
        """See `ProviderRegistry`."""

    def speech_to_text(self, config: Block, own: Keys = NO_KEYS) -> SpeechToText:
        """See `ProviderRegistry`."""

    def text_to_speech(self, config: Block, own: Keys = NO_KEYS) -> TextToSpeech:
        """See `ProviderRegistry`."""


class Wrapping:
    """Makes providers as calls have them, with circuits, retries and the fall-backs of a block.

    Attributes:
        notes: What stands on the timeline.
    """

    def __init__(self, registry: ProviderRegistry) -> None:
        self.notes: list[tuple[str, Mapping[str, Any]]] = []
        self._registry = registry
        self._lineups = Lineups(load_catalogue(), Breakers())

    def language_model(self, config: Block, own: Keys = NO_KEYS) -> LanguageModel:
        notes = self._notes("llm")
        lineup = self._lineups.of(self._registry.language_model, config, own, notes)
        return ResilientLanguageModel(lineup, notes)

    def speech_to_text(self, config: Block, own: Keys = NO_KEYS) -> SpeechToText:
        notes = self._notes("stt")
        lineup = self._lineups.of(self._registry.speech_to_text, config, own, notes)
        return ResilientSpeechToText(lineup, notes)

    def text_to_speech(self, config: Block, own: Keys = NO_KEYS) -> TextToSpeech:
        notes = self._notes("tts")
        lineup = self._lineups.of(self._registry.text_to_speech, config, own, notes)
        return ResilientTextToSpeech(lineup, notes)

    def _notes(self, kind: ProviderKind) -> ProviderNotes:
        return ProviderNotes(lambda what, facts: self.notes.append((what, facts)), kind)


@dataclass(frozen=True)
class Vendors:
    """The fakes, the registry that knows them, and what makes providers for a test."""

    openai: FakeOpenAI
    google: FakeGoogle
    registry: ProviderRegistry
    make: Makes

    @property
    def open(self) -> int:
        """Requests being served."""
        return self.openai.open + self.google.open

    def block(self, provider: str, **more: Any) -> Mapping[str, Any]:
        """A config block with what the provider requires."""
        if provider == "openai_compatible":
            more = {"base_url": self.openai.base_url, "model": "m", **more}
        return {"provider": provider, **more}

    def trouble(self, kind: str, provider: str, trouble: Trouble) -> None:
        """Let a vendor fail; `kind` is `stt`, `llm` or `tts`."""
        openai, google = self.openai, self.google
        if provider == "google":
            (google.speech if kind == "stt" else google.voices).faults.append(trouble.google)
        else:
            service = {"stt": openai.realtime, "llm": openai.chat, "tts": openai.speech}[kind]
            service.faults.append(trouble.openai)

    def served(self, kind: str, provider: str) -> int:
        """How many requests with a good key came."""
        openai, google = self.openai, self.google
        if provider == "google":
            return (google.speech if kind == "stt" else google.voices).served
        return {"stt": openai.realtime, "llm": openai.chat, "tts": openai.speech}[kind].served

    @property
    def shown(self) -> int:
        """How many requests came, whatever the key."""
        return len(self.openai.journal.keys) + len(self.google.gate.tokens)

    def slow(self, delay_s: float) -> None:
        """Let every vendor think before its answer."""
        self.openai.realtime.transcript_s = self.google.speech.transcript_s = delay_s
        self.openai.speech.first_byte_s = self.google.voices.first_byte_s = delay_s
        self.openai.chat.first_token_s = delay_s


@asynccontextmanager
async def all_vendors(*, wrapped: bool = False) -> AsyncIterator[Vendors]:
    """Run them in this event loop.

    Args:
        wrapped: Whether to make providers as calls have them, instead of the adapters alone.
    """
    policy = OutgoingPolicy([ip_network("127.0.0.0/8")])
    async with fake_openai(api_key="good") as openai, fake_google() as google:
        elsewhere = Elsewhere(
            outgoing=Outgoing(policy.fault, lambda: guarded_connector(policy)),
            google=google.servers,
            urls={"mistral": openai.base_url, "xai": openai.base_url},
        )
        async with ProviderRegistry(
            openai_api_key="good", openai_base_url=openai.base_url, elsewhere=elsewhere
        ) as registry:
            yield Vendors(openai, google, registry, Wrapping(registry) if wrapped else registry)
