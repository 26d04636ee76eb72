"""Reads the definition of a workflow: every fault in a line, named by the node it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from api.bodies import Body, faults
from api.parts import Catalogue
from api.resources.tools import read_tools
from api.resources.workflow_bodies import (
    MOST_EDGES,
    MOST_NODES,
    ConversationNode,
    Definition,
    Edge,
    EndNode,
    ToolNode,
    TransferNode,
)
from sovereign_ari.domain import workflow
from sovereign_ari.domain.workflow import Graph, NodeType
from sovereign_ari.outgoing.policy import OutgoingPolicy

_MODELS: Mapping[str, type[Body]] = {
    NodeType.CONVERSATION: ConversationNode,
    NodeType.TOOL: ToolNode,
    NodeType.TRANSFER: TransferNode,
    NodeType.END: EndNode,
}


@dataclass
class Reading:
    """What was read.

    Attributes:
        definition: As it is stored, when there are no faults.
        mcp_servers: Ids of MCP servers that tools name, each with the path of the first one.
        lines: What is wrong, `path: what` each.
        realtime: Those of the faults that name a realtime provider in a node.
    """

    definition: dict[str, Any] = field(default_factory=dict)
    mcp_servers: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    realtime: list[str] = field(default_factory=list)


def read_definition(raw: Any, catalogue: Catalogue, outgoing: OutgoingPolicy) -> Reading:
    """Read a definition, whatever it is."""
    return _Reader(catalogue, outgoing).read(raw)


class _Reader:
    def __init__(self, catalogue: Catalogue, outgoing: OutgoingPolicy) -> None:
        self._catalogue = catalogue
        self._outgoing = outgoing
        self._found = Reading()
        self._lines = self._found.lines

    def read(self, raw: Any) -> Reading:
        definition = self._part(Definition, raw, "definition")
        if not isinstance(raw, dict):
            return self._found
        raw_nodes = self._items(raw, "nodes", 1, MOST_NODES)
        raw_edges = self._items(raw, "edges", 0, MOST_EDGES)
        nodes = [self._node(node, _at("nodes", n)) for n, node in enumerate(raw_nodes or [])]
        edges = [self._part(Edge, edge, _at("edges", n)) for n, edge in enumerate(raw_edges or [])]
        # A list that could not be taken may hold anything: one unknown item stands for it.
        graph = Graph(
            _text(raw, "entry_node"),
            [_graph_node(node) for node in ([None] if raw_nodes is None else raw_nodes)],
            [_graph_edge(edge) for edge in ([None] if raw_edges is None else raw_edges)],
        )
        unread = bool(self._lines or self._found.realtime)
        check = workflow.local_faults if unread else workflow.faults
        self._lines += [f"definition.{line}" for line in check(graph)]
        self._found.definition = {**definition, "nodes": nodes, "edges": edges}
        return self._found

    def _items(self, raw: dict[str, Any], name: str, least: int, most: int) -> list[Any] | None:
        """Take a list, or None; that it is missing is said elsewhere."""
        items = raw.get(name)
        if name not in raw:
            return None
        if not isinstance(items, list):
            self._lines.append(f"definition.{name}: is not a list")
        elif not least <= len(items) <= most:
            self._lines.append(
                f"definition.{name}: has {len(items)} items; {least} to {most} are allowed"
            )
        else:
            return items
        return None

    def _part(self, model: type[Body], raw: Any, path: str) -> dict[str, Any]:
        if not isinstance(raw, dict):
            self._lines.append(f"{path}: is not an object")
            return {}
        try:
            return model.model_validate(raw).given()
        except ValidationError as error:
            self._lines += [_under(path, line) for line in faults(model, error)]
            return {}

    def _node(self, raw: Any, path: str) -> dict[str, Any]:
        kind = raw.get("type") if isinstance(raw, dict) else None
        if isinstance(raw, dict) and (not isinstance(kind, str) or kind not in _MODELS):
            known = ", ".join(_MODELS)
            missing = "type" not in raw
            fault = "is required" if missing else f"is not one of {known}"
            self._lines.append(f"{path}.type: {fault}")
            return {}
        node = self._part(_MODELS[str(kind)] if kind else Body, raw, path)
        if (url := node.get("url")) is not None:
            self._check_url(f"{path}.url", url)
        if kind == NodeType.CONVERSATION:
            node |= self._conversation(raw, path)
        return node

    def _conversation(self, raw: dict[str, Any], path: str) -> dict[str, Any]:
        """Check what goes beyond types, also beside other faults; give what is stored anew."""
        if raw.get("global") is True and raw.get("global_description") is None:
            self._lines.append(f"{path}.global_description: is required")
        if raw.get("voice") is not None and raw.get("tts_config") is not None:
            self._lines.append(f"{path}.voice: cannot stand beside tts_config; give one of them")
        if isinstance(llm := raw.get("llm_config"), dict):
            self._llm(llm, path)
        stored: dict[str, Any] = {}
        for kind in ("tts", "stt"):
            if isinstance(block := raw.get(f"{kind}_config"), dict):
                stored[f"{kind}_config"] = self._block(kind, block, path)
        if (tools := raw.get("tools")) is not None:
            stored["tools"] = self._tools(tools, path)
        return stored

    def _block(self, kind: str, block: dict[str, Any], path: str) -> dict[str, Any]:
        """Read a block that replaces the assistant's whole."""
        wrong = self._catalogue.validate(kind, block)
        self._lines += [f"{path}.{line}" for line in wrong]
        if wrong:
            return {}
        for name, url in self._catalogue.urls(kind, block).items():
            self._check_url(f"{path}.{name}", url)
        return dict(self._catalogue.with_defaults(kind, block))

    def _llm(self, llm: dict[str, Any], path: str) -> None:
        """Check what a node changes of the assistant's model; the rest stays the assistant's."""
        given = {name: value for name in ("provider", "model") if (value := _text(llm, name))}
        providers = [given["provider"]] if "provider" in given else self._offering(given)
        if any(self._catalogue.is_realtime(provider) for provider in providers):
            at_fault = "provider" if "provider" in given else "model"
            self._found.realtime.append(
                f"{path}.llm_config.{at_fault}: {given[at_fault][:60]} is realtime; a node takes a"
                " text provider"
            )
        elif "provider" in given:
            lines = self._catalogue.validate("llm", given)
            self._lines += [f"{path}.{line}" for line in lines if not _left_out(line)]
        elif "model" in given and not providers:
            self._lines.append(
                f"{path}.llm_config.model: {given['model'][:60]!r} is not a model of any provider"
            )

    def _offering(self, given: Mapping[str, str]) -> list[str]:
        """Find the providers that have a model; whose it will be is known during a call."""
        return [
            provider
            for provider in self._catalogue.providers("llm")
            if "model" in given and not _model_faults(self._catalogue, provider, given["model"])
        ]

    def _tools(self, tools: Any, path: str) -> list[dict[str, Any]]:
        stored, wrong = read_tools(tools, self._outgoing)
        self._lines += [f"{path}.{line}" for line in wrong]
        for index, tool in enumerate(stored):
            if (server := tool.get("mcp_server_id")) is not None:
                where = f"{path}.tools[{index}].mcp_server_id"
                self._found.mcp_servers.setdefault(server, where)
        return stored

    def _check_url(self, path: str, url: str) -> None:
        if (fault := self._outgoing.fault(url)) is not None:
            self._lines.append(f"{path}: {fault}")


def _at(name: str, index: int) -> str:
    return f"definition.{name}[{index}]"


def _under(path: str, line: str) -> str:
    """Put a path before a line, which has one of its own or begins with the colon."""
    return f"{path}{line}" if line.startswith(":") else f"{path}.{line}"


def _text(raw: Any, name: str) -> str | None:
    value = raw.get(name) if isinstance(raw, dict) else None
    return value if isinstance(value, str) else None


def _graph_node(raw: Any) -> workflow.Node:
    kind = _text(raw, "type")
    return workflow.Node(
        _text(raw, "id"),
        NodeType(kind) if kind is not None and kind in _MODELS else None,
        isinstance(raw, dict) and raw.get("global") is True,
    )


def _graph_edge(raw: Any) -> workflow.Edge:
    described = isinstance(raw, dict) and raw.get("description") is not None
    return workflow.Edge(_text(raw, "from"), _text(raw, "to"), described)


def _left_out(line: str) -> bool:
    """Whether a block merely leaves a field to the assistant."""
    return line.endswith(": is required")


def _model_faults(catalogue: Catalogue, provider: str, model: str) -> list[str]:
    lines = catalogue.validate("llm", {"provider": provider, "model": model})
    return [line for line in lines if line.startswith("llm_config.model:")]
