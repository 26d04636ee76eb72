"""Which providers exist and what they take, for validation, defaults and OpenAPI. Pure.

The data is JSON that somebody else reads from a file; `catalogue_file` says how it is shortened:

    {"aliases": {alias: provider},
     "online" and "offline": {kind: provider},
     "byok": [whose keys an organisation may store],
     "languages": {code: [BCP 47 tags]},
     "voices": {list: [voice] or {voice: {"language", "en", "nl"}}},
     "kinds": {kind: {provider: {"label", "available", "keys": [of `byok`, any one will do],
         "models": {model: {"legacy"?, "retires"?: day, "keys"?, "location"?}},
         "realtime"?, "ours"?, "required"?, "fields": {name: schema}}}},
     "speech": the schema of `speech_config`,
     "applies_to": which kind of assistant takes what: `pipeline`, `realtime` or `both`}

A kind is `llm`, `stt`, `tts`, `postcall_stt` or `postcall_llm`. A provider that is not `available`
is known, so that blocks written for it are kept, but cannot be used by this release. `ours` is
what the public contract does not have. A field with `x-models` counts with those models alone;
with others it is stored and has no effect.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import date
from typing import Any

from sovereign_ari.domain.catalogue_file import expanded
from sovereign_ari.domain.catalogue_listing import listing, slot, voices_of
from sovereign_ari.domain.fallback_blocks import (
    FALLBACK,
    OF_A_CALL,
    described,
    fallbacks_of,
    parted,
    placed,
)
from sovereign_ari.domain.schema import faults, nearest, settled
from sovereign_ari.errors import SettingsError

KINDS = ("llm", "stt", "tts")
POSTCALL_KINDS = ("postcall_stt", "postcall_llm")


class Catalogue:
    """The catalogue.

    Args:
        data: As described above.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = expanded(data)
        self._kinds: Mapping[str, Mapping[str, Mapping[str, Any]]] = self._data["kinds"]
        self._schemas = {
            kind: {name: self._schema(name, entry) for name, entry in providers.items()}
            for kind, providers in self._kinds.items()
        }

    def providers(self, kind: str) -> list[str]:
        """Names of all providers of a kind, usable or not."""
        return list(self._kinds[kind])

    def available(self, kind: str, provider: object) -> bool:
        """Whether this release can use a provider."""
        name = self._name(provider)
        return name in self._kinds[kind] and bool(self._kinds[kind][name]["available"])

    def is_realtime(self, provider: object) -> bool:
        """Whether a model of this provider hears and speaks itself, without STT and TTS."""
        entry = self._kinds["llm"].get(self._name(provider), {})
        return bool(entry.get("realtime", False))

    def byok_providers(self) -> tuple[str, ...]:
        """Whose keys an organisation may store; not all of them are of a kind above."""
        return tuple(self._data["byok"])

    def byok_names(self) -> dict[str, str]:
        """What those providers may be called, aliases too, and the provider's own name."""
        own = {name: name for name in self.byok_providers()}
        return own | {alias: name for alias, name in self._data["aliases"].items() if name in own}

    def slot(self, provider: str) -> str:
        """Name the place of a stored key: `<provider>_secret_id`."""
        return slot(self._name(provider))

    def keys_for(self, kind: str, block: Mapping[str, Any]) -> tuple[str, ...]:
        """Whose stored keys run the model of a valid block; any one of them will do."""
        complete = self.with_defaults(kind, block)
        entry = self._kinds[kind][complete["provider"]]
        facts = entry.get("models", {}).get(complete.get("model"), {})
        return tuple(facts.get("keys", entry["keys"]))

    def voices(self, provider: str) -> list[dict[str, Any]] | None:
        """List the voices `{id, name, language?, description?}` of a provider.

        None when it is unknown, has no voices, or takes any text for one.
        """
        return voices_of(self._data, self._name(provider))

    def providers_with_voices(self) -> list[str]:
        """The providers that `voices` knows, local ones first."""
        names = dict.fromkeys([*self.providers("tts"), *self.providers("llm")])
        return sorted(
            (name for name in names if self.voices(name) is not None),
            key=lambda name: name != self._data["offline"]["tts"],
        )

    def listing(self) -> dict[str, Any]:
        """Everything that may be chosen, for `GET /catalog`."""
        return copy.deepcopy(listing(self._data))

    def validate(self, kind: str, block: Mapping[str, Any]) -> list[str]:
        """Say what is wrong with a block, one line `path: what is wrong` per fault."""
        path = kind if kind in POSTCALL_KINDS else f"{kind}_config"
        lines = self._block_faults(kind, block, path)
        for place, stand_in in placed(block, path):
            bare, wrong = parted(kind, stand_in, place)
            lines += wrong + self._block_faults(kind, bare, place)
            if kind == "llm" and self.is_realtime(stand_in.get("provider")):
                lines.append(f"{place}.provider: a realtime model stands in for no other")
        return lines

    def _block_faults(self, kind: str, block: Mapping[str, Any], path: str) -> list[str]:
        if "provider" not in block:
            known = ", ".join(self.providers(kind))
            return [f"{path}.provider: is required; known are {known}"]
        if not isinstance(block["provider"], str):
            return [f"{path}.provider: must be a string"]
        provider = self._name(block["provider"])
        if provider not in self._kinds[kind]:
            guess = nearest(provider, self.providers(kind))
            return [f"{path}.provider: {provider[:60]!r} is unknown{guess}"]
        return list(faults(self._schemas[kind][provider], block, path))

    def with_defaults(self, kind: str, block: Mapping[str, Any]) -> dict[str, Any]:
        """Complete a valid block; an alias becomes the provider's own name."""
        provider = self._name(block["provider"])
        complete = {**settled(self._schemas[kind][provider], block), "provider": provider}
        for name, schema in self._kinds[kind][provider]["fields"].items():
            if "default" in schema and _counts(schema, complete):
                complete.setdefault(name, schema["default"])
        if FALLBACK in complete:
            complete[FALLBACK] = [self.with_defaults(kind, it) for it in fallbacks_of(complete)]
        return copy.deepcopy(complete)

    def urls(self, kind: str, block: Mapping[str, Any]) -> dict[str, str]:
        """Addresses of servers in a valid block, by their paths: we will connect to them.

        All as `http` or `https`, also those of other protocols: what counts is the host.
        """
        path = kind if kind in POSTCALL_KINDS else f"{kind}_config"
        return {
            f"{place}.{name}": one[name].replace("tcp://", "http://", 1)
            for place, one in ((path, block), *placed(block, path))
            for name, schema in self._fields(kind, one).items()
            if schema.get("x-outgoing") and name in one
        }

    def retires(self, kind: str, block: Mapping[str, Any]) -> date | None:
        """On which day the vendor shuts down the model of a valid block, if that is announced."""
        complete = self.with_defaults(kind, block)
        models = self._kinds[kind][complete["provider"]].get("models", {})
        day = models.get(complete.get("model"), {}).get("retires")
        return None if day is None else date.fromisoformat(day)

    def postcall_block(
        self, llm: Mapping[str, Any], chosen: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The `llm` block of the model that works after calls.

        Args:
            llm: The `llm_config` of the call.
            chosen: Its `postcall_llm`. Without one the provider's post-call model works, and
                where the catalogue names none, the model of the call itself.
        """
        if chosen is not None:
            return {"provider": chosen["provider"], "model": chosen["model"]}
        entry = self._kinds["llm"].get(self._name(llm["provider"]), {})
        stated = entry.get("postcall_model")
        if stated is None:
            return {name: value for name, value in llm.items() if name not in OF_A_CALL}
        keys = entry["keys"] if isinstance(stated, str) else list(stated)
        provider = next(
            (
                name
                for name, other in self._kinds["postcall_llm"].items()
                if name == llm["provider"] or set(other["keys"]) & set(keys)
            ),
            llm["provider"],
        )
        return {
            "provider": provider,
            "model": stated if isinstance(stated, str) else next(iter(stated.values())),
        }

    def default_block(self, kind: str, provider: str) -> dict[str, Any]:
        """A provider with all its defaults."""
        return self.with_defaults(kind, {"provider": provider})

    def default_blocks(
        self,
        *,
        openai: bool,
        llm: str | None = None,
        stt: str | None = None,
        tts: str | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Choose the blocks of assistants that name none.

        Args:
            openai: Whether there is a key for OpenAI; without one the offline providers serve.
            llm: The operator's choice, or None.
            stt: Likewise.
            tts: Likewise.

        Raises:
            SettingsError: When the operator's choice is unknown or cannot be used.
        """
        usual = self._data["online" if openai else "offline"]
        chosen = {"llm": llm, "stt": stt, "tts": tts}
        for kind, name in chosen.items():
            if name is not None and not self.available(kind, name):
                usable = [p for p in self.providers(kind) if self.available(kind, p)]
                raise SettingsError(
                    f"SOVEREIGN_DEFAULT_{kind.upper()}: {name!r} cannot be used by this release",
                    hint=f"one of {', '.join(usable)}",
                )
        return {kind: self.default_block(kind, chosen[kind] or usual[kind]) for kind in KINDS}

    def json_schema(self, kind: str) -> dict[str, Any]:
        """Describe the blocks that `validate` accepts, for OpenAPI."""
        branches = copy.deepcopy(list(self._schemas[kind].values()))
        schema: dict[str, Any] = {"oneOf": branches}
        if kind in KINDS:
            realtime = frozenset(filter(self.is_realtime, self.providers(kind)))
            schema = described(branches, realtime if kind == "llm" else frozenset())
        return {**schema, "discriminator": {"propertyName": "provider"}}

    def _schema(self, provider: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        aliases = [a for a, name in self._data["aliases"].items() if name == provider]
        names = {"type": "string", "enum": [provider, *aliases]}
        return {
            "title": entry["label"],
            "type": "object",
            "properties": {"provider": names, **entry["fields"]},
            "required": ["provider", *entry.get("required", ())],
            "additionalProperties": False,
        }

    def _fields(self, kind: str, block: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        fields: Mapping[str, Mapping[str, Any]]
        fields = self._kinds[kind][self._name(block["provider"])]["fields"]
        return fields

    def _name(self, provider: object) -> str:
        name = str(provider)
        return str(self._data["aliases"].get(name, name))


def _counts(schema: Mapping[str, Any], block: Mapping[str, Any]) -> bool:
    """Whether a field has an effect with the model of a block, which is settled before it."""
    return "x-models" not in schema or block.get("model") in schema["x-models"]
