"""Brings the forms in which clients write a tool template into the one that is stored."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from api.bodies import faults, refusal
from api.kinds import IN_WORDS, NAME_PATTERN
from api.resources.tool_template_bodies import CONFIGS, CreateToolTemplate, UpdateToolTemplate
from api.resources.tools import SPELLINGS, url_faults
from db.templates import ToolTemplateRecord
from sovereign_ari.outgoing.policy import OutgoingPolicy

_FLAT = ("url", "async", "async_response", "message", "parameters", "destinations")
_FIRST = ("function_definition", "server_url", "server_secret")


def read_template(
    body: CreateToolTemplate | UpdateToolTemplate,
    stored: ToolTemplateRecord | None,
    outgoing: OutgoingPolicy,
) -> dict[str, Any]:
    """Give the columns that a body sets.

    Args:
        body: What was sent.
        stored: What it changes, None for a new template.
        outgoing: Decides on the URLs.

    Raises:
        InvalidRequest: With one line per fault.
    """
    values = body.given()
    reading = _Reading(values, stored)
    config = reading.config()
    name = values.get("name") or (stored.name if stored else "")
    if reading.kind == "function" and config.get("name") is None:
        if re.fullmatch(NAME_PATTERN, name) is None:
            reading.lines.append(
                "name: without tool_config.name it names the function, which"
                f" {IN_WORDS[NAME_PATTERN]}"
            )
    reading.lines += [reading.line(line[1:]) for line in url_faults(config, outgoing)]
    if reading.lines:
        raise refusal(reading.lines)
    columns: dict[str, Any] = {"tool_type": reading.kind, "tool_config": config}
    return columns | {field: values[field] for field in ("name", "description") if field in values}


class _Reading:
    """One body: which field says what of the config."""

    def __init__(self, values: dict[str, Any], stored: ToolTemplateRecord | None) -> None:
        self.lines: list[str] = []
        self._values = values
        self._whole: dict[str, Any] | None = values.get("tool_config")
        self._from: dict[str, str] = {}  # which field a part of the config was taken from
        named = values.get("tool_type", stored.tool_type if stored else None)
        if named is None and any(values.get(field) is not None for field in _FIRST):
            named = "function"
        if named is None:
            raise refusal(["tool_type: is required"])
        self.kind = SPELLINGS.get(named, named)
        kept = stored.tool_config if stored and stored.tool_type == self.kind else {}
        self._config = dict(kept if self._whole is None else self._whole)

    def config(self) -> dict[str, Any]:
        """Give the config as it is stored; faults go into `lines`."""
        for field in _FLAT:
            if field in self._values:
                self._take(field, field, self._values[field])
        for part, value in (self._values.get("function_definition") or {}).items():
            if value is not None:
                self._take(part, f"function_definition.{part}", value)
        self._take_server()
        model = CONFIGS[self.kind]
        known = {field.alias or name for name, field in model.model_fields.items()}
        for part in self._from.keys() - known:
            self.lines.append(f"{self._from[part]}: does not go with the type {self.kind}")
            del self._config[part]
        try:
            return model.model_validate(self._config).given()
        except ValidationError as error:
            self.lines += [self.line(line) for line in faults(model, error)]
            return {}

    def line(self, fault: str) -> str:
        """Name the field that a fault of the config comes from."""
        if "server" in self._from:
            fault = re.sub(r"^server\.(url|secret)", r"server_\1", fault)
        if fault.startswith("server_"):
            return fault
        match = re.match(r"[A-Za-z_]+(?=[:.\[])", fault)
        if match and match[0] in self._from:
            return self._from[match[0]] + fault[match.end() :]
        return f"tool_config{'' if fault.startswith(':') else '.'}{fault}"

    def _take(self, part: str, field: str, value: Any) -> None:
        """Set a part of the config; null, or a switch that is off, takes it away."""
        if value is None or value is False:
            if self._whole is None and part not in self._from:
                self._config.pop(part, None)
            return
        if self._whole is not None and self._whole.get(part, value) != value:
            self._contradict(field, f"tool_config.{part}")
        elif part in self._from and self._config[part] != value:
            self._contradict(field, self._from[part])
        else:
            self._config[part] = value
            self._from[part] = field

    def _contradict(self, field: str, other: str) -> None:
        self.lines.append(f"{field}: {other} and {field} have different values")

    def _take_server(self) -> None:
        """Bring `server_url` and `server_secret` together."""
        given = {f: self._values[f] for f in ("server_url", "server_secret") if f in self._values}
        if not given:
            return
        old = self._config.get("server")
        server = dict(old) if isinstance(old, dict) else {}
        for field, part in (("server_url", "url"), ("server_secret", "secret")):
            if field in given and (given[field] is not None or self._whole is None):
                server[part] = given[field]
        server = {part: value for part, value in server.items() if value is not None}
        if "secret" in server:
            server.setdefault("url", self._config.get("url"))
        if server == {"url": self._config.get("url")}:
            server = {}  # `url` says it already
        if server and server.get("url") is None:
            self.lines.append("server_secret: needs server_url")
            return
        self._take("server", "server_url", server or None)
