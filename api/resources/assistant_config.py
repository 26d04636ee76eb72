"""Checks what clients send of an assistant against everything that it refers to.

The models of the bodies say what a field may hold; this says whether the whole can work: the
blocks by the catalogue, URLs by the outgoing policy, what is named by the tenant's rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg

from api.bodies import Body, refusal
from api.parts import Asked, Catalogue
from api.resources.tools import read_tools
from db.assistants import AssistantRecord, missing_mcp_servers
from db.templates import ANALYSIS_TEMPLATES, AnalysisTemplateRecord
from sovereign_ari.domain.agent import Config
from sovereign_ari.errors import NotFound
from sovereign_ari.outgoing.policy import OutgoingPolicy

BLOCKS = {
    "llm_config": "llm",
    "stt_config": "stt",
    "tts_config": "tts",
    "postcall_stt": "postcall_stt",
    "postcall_llm": "postcall_llm",
}
# Of a template's prompts; messages of a plan have them in double braces.
_PLACEHOLDER = re.compile(r"(?<!\{)\{(transcript|summary|duration|caller_number)\}(?!\})")


@dataclass(frozen=True, slots=True)
class AssistantConfig:
    """What a body sets, checked and complete.

    Attributes:
        values: Columns of `assistants`.
        mcp_server_ids: What the tools name, None when `llm_config` was not sent.
    """

    values: dict[str, Any]
    mcp_server_ids: frozenset[str] | None = None


class Rules(Protocol):
    """What a body is checked by."""

    @property
    def catalogue(self) -> Catalogue:
        """What blocks may say."""

    @property
    def outgoing(self) -> OutgoingPolicy:
        """Where requests may go."""

    @property
    def defaults(self) -> Mapping[str, Config]:
        """The platform's blocks."""


class Blocks(Protocol):
    """The blocks of what a body changes, as they are stored."""

    @property
    def llm_config(self) -> Mapping[str, Any] | None:
        """The model."""

    @property
    def stt_config(self) -> Mapping[str, Any] | None:
        """Its ears."""

    @property
    def tts_config(self) -> Mapping[str, Any] | None:
        """Its voice."""


@dataclass(slots=True)
class Reading:
    """A body on its way: its values as they will be stored, and what is wrong with them."""

    values: dict[str, Any]
    lines: list[str] = field(default_factory=list)

    @property
    def refers(self) -> bool:
        """Whether it names rows of the tenant, which only the database knows."""
        return bool(_servers_named(self)) or _plan(self).get("template_id") is not None


async def read_config(
    asked: Asked,
    connection: asyncpg.Connection,
    body: Body,
    stored: AssistantRecord | None = None,
) -> AssistantConfig:
    """Check a body, as a new assistant or as changes of a stored one.

    Args:
        asked: By whom it was sent.
        connection: In a transaction of the tenant: MCP servers that are named are held there.
        body: An assistant's fields, as far as they are to be set.
        stored: What it changes, None for a new assistant.

    Raises:
        InvalidRequest: With one line per fault.
    """
    reading = read_values(body, asked.parts, stored)
    return await look_up(reading, asked.organisation_id, connection)


def read_values(body: Body, rules: Rules, stored: Blocks | None) -> Reading:
    """Check what a body says for itself. Large schemas take part of a second."""
    reading = Reading(body.given())
    _read_blocks(reading, rules.catalogue, rules.outgoing)
    _check_url(reading, rules.outgoing)
    if not reading.lines:
        _check_realtime(reading, rules, stored)
    return reading


async def look_up(
    reading: Reading, organisation_id: str, connection: asyncpg.Connection
) -> AssistantConfig:
    """Check what a body names, and finish it.

    Args:
        reading: What `read_values` made of it.
        organisation_id: The tenant.
        connection: As for `read_config`; None will do for a body that does not refer.

    Raises:
        InvalidRequest: With one line per fault, those of `read_values` among them.
    """
    ids = await _check_mcp_servers(reading, organisation_id, connection)
    await _copy_template(reading, organisation_id, connection)
    if reading.lines:
        raise refusal(reading.lines)
    return AssistantConfig(reading.values, ids)


def _read_blocks(reading: Reading, catalogue: Catalogue, outgoing: OutgoingPolicy) -> None:
    for name, kind in BLOCKS.items():
        block = reading.values.get(name)
        if block is None:
            continue
        tools = block.pop("tools", None) if kind == "llm" else None
        wrong = catalogue.validate(kind, block)
        if not wrong:
            block = reading.values[name] = dict(catalogue.with_defaults(kind, block))
            wrong = _url_faults(catalogue.urls(kind, block), outgoing)
        reading.lines += wrong
        if tools is not None:
            block["tools"], wrong = read_tools(tools, outgoing)
            reading.lines += [f"{name}.{line}" for line in wrong]


def _url_faults(urls: Mapping[str, str], outgoing: OutgoingPolicy) -> list[str]:
    faults = ((path, outgoing.fault(url)) for path, url in urls.items())
    return [f"{path}: {fault}" for path, fault in faults if fault is not None]


def _check_url(reading: Reading, outgoing: OutgoingPolicy) -> None:
    if (url := reading.values.get("webhook_url")) is not None:
        reading.lines += _url_faults({"webhook_url": url}, outgoing)


def _check_realtime(reading: Reading, rules: Rules, stored: Blocks | None) -> None:
    """A model that hears and speaks itself has neither STT nor TTS, whoever sets which."""

    def settled(name: str) -> Any:
        kept = None if stored is None else getattr(stored, name)
        return reading.values.get(name, kept)

    llm = settled("llm_config") or rules.defaults["llm"]
    if not rules.catalogue.is_realtime(llm["provider"]):
        return
    for name in ("stt_config", "tts_config"):
        if settled(name) is not None:
            remedy = "leave it out" if reading.values.get(name) is not None else "set it to null"
            reading.lines.append(f"{name}: {llm['provider']} hears and speaks itself; {remedy}")


def _servers_named(reading: Reading) -> dict[int, str]:
    """The MCP servers that tools name, by the places of the tools."""
    tools = (reading.values.get("llm_config") or {}).get("tools", ())
    return {n: t["mcp_server_id"] for n, t in enumerate(tools) if "mcp_server_id" in t}


def _plan(reading: Reading) -> dict[str, Any]:
    analysis = reading.values.get("analysis_plan") or {}
    return analysis.get("structured_data_plan") or {}


async def _check_mcp_servers(
    reading: Reading, organisation_id: str, connection: asyncpg.Connection
) -> frozenset[str] | None:
    if "llm_config" not in reading.values:
        return None
    named = _servers_named(reading)
    ids = frozenset(named.values())
    if ids:
        missing = await missing_mcp_servers(connection, organisation_id, ids)
        reading.lines += [
            f"llm_config.tools[{n}].mcp_server_id: no MCP server {server_id}"
            for n, server_id in named.items()
            if server_id in missing
        ]
    return ids


async def _copy_template(
    reading: Reading, organisation_id: str, connection: asyncpg.Connection
) -> None:
    """Put what a template holds into the plan; what the plan says itself stands."""
    plan = _plan(reading)
    template_id = plan.pop("template_id", None)
    if template_id is None:
        return
    try:
        template = await ANALYSIS_TEMPLATES.get(connection, organisation_id, template_id)
    except NotFound as error:
        reading.lines.append(f"analysis_plan.structured_data_plan.template_id: {error}")
        return
    for name, value in (("schema", template.schema), ("messages", plan_messages(template))):
        if plan.get(name) is None and value:
            plan[name] = value
    if template.min_messages_threshold is not None:
        reading.values["analysis_plan"].setdefault(
            "min_messages_threshold", template.min_messages_threshold
        )


def plan_messages(template: AnalysisTemplateRecord) -> list[dict[str, Any]]:
    """The messages of a template as a plan has them, with placeholders in double braces."""
    return [
        {**message, "content": _PLACEHOLDER.sub(r"{{\1}}", message["content"])}
        for message in template.messages or ()
    ]
