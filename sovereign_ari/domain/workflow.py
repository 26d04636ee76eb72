"""The graph of a workflow: what its nodes and edges must satisfy together. Pure.

What a node or an edge may hold by itself is checked where it is read. The rules of the graph:

* ids are unique, and `entry_node` names a conversation node;
* an edge joins two nodes that exist and differ, and no other edge joins them in that direction;
* conversation and tool nodes have outgoing edges, a tool node exactly one, the others none;
* an edge that leaves a conversation node says when it is taken;
* every node can be reached from the entry node, where a global node is reached from every
  conversation node;
* tool nodes do not lead round in a circle: the caller would never hear anything again.

Legal on purpose: circles through a conversation node, a conversation node that nothing leaves, and
a graph that never reaches an end or a transfer. The caller can always hang up, and a tool can end
the call.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_SHOWN = 60  # characters of a name in a message


class NodeType(StrEnum):
    """Types of the public contract."""

    CONVERSATION = "conversation"
    TOOL = "tool"
    TRANSFER = "transfer"
    END = "end"


LEFT = frozenset({NodeType.CONVERSATION, NodeType.TOOL})
"""Types that have outgoing edges."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node, as far as it could be read; None is what could not."""

    id: str | None
    type: NodeType | None
    is_global: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge, as far as it could be read; `described` says whether it has a description."""

    start: str | None
    end: str | None
    described: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """A definition without what its nodes do."""

    entry_node: str | None
    nodes: Sequence[Node]
    edges: Sequence[Edge]

    def by_id(self) -> dict[str, Node]:
        """The nodes that have an id; of several with the same, the first."""
        found: dict[str, Node] = {}
        for node in self.nodes:
            if node.id is not None:
                found.setdefault(node.id, node)
        return found

    def following(self) -> dict[str, list[str]]:
        """Where the edges lead to from each node."""
        found: dict[str, list[str]] = {}
        for edge in self.edges:
            if edge.start is not None and edge.end is not None:
                found.setdefault(edge.start, []).append(edge.end)
        return found


def faults(graph: Graph) -> list[str]:
    """Say what is wrong, one `nodes[2].id: what is wrong` per fault.

    Circles and nodes out of reach are looked for in a graph that is right otherwise.
    """
    return local_faults(graph) or [*_out_of_reach(graph), *_silent_circles(graph)]


def local_faults(graph: Graph) -> list[str]:
    """Faults of single nodes and edges; says nothing about what could not be read."""
    known = graph.by_id()
    return [
        *_entry_faults(graph, known),
        *_node_faults(graph),
        *_end_faults(graph, known),
        *_edge_faults(graph, known),
    ]


def _entry_faults(graph: Graph, known: Mapping[str, Node]) -> Iterator[str]:
    entry = graph.entry_node
    if entry is None:
        return
    if entry not in known:
        yield from _unknown(graph, "entry_node", entry, known)
    elif (kind := known[entry].type) not in (NodeType.CONVERSATION, None):
        yield f"entry_node: {entry} is {_article(kind)} node; it must be a conversation node"


def _node_faults(graph: Graph) -> Iterator[str]:
    leaving: dict[str | None, int] = {}
    for edge in graph.edges:
        leaving[edge.start] = leaving.get(edge.start, 0) + 1
    first: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        if node.id is None:
            continue
        if first.setdefault(node.id, index) != index:
            known_at = f"nodes[{first[node.id]}]"
            yield f"nodes[{index}].id: {_cut(node.id)} is the id of {known_at} already"
        elif node.type is NodeType.TOOL:
            count = leaving.get(node.id, 0)
            if count > 1 or (count == 0 and None not in leaving):
                yield f"nodes[{index}]: a tool node needs exactly one outgoing edge, not {count}"


def _end_faults(graph: Graph, known: Mapping[str, Node]) -> Iterator[str]:
    for index, edge in enumerate(graph.edges):
        for name, wanted in (("from", edge.start), ("to", edge.end)):
            if wanted is not None and wanted not in known:
                yield from _unknown(graph, f"edges[{index}].{name}", wanted, known)


def _edge_faults(graph: Graph, known: Mapping[str, Node]) -> Iterator[str]:
    first: dict[tuple[str, str], int] = {}
    for index, edge in enumerate(graph.edges):
        start = None if edge.start is None else known.get(edge.start)
        kind = None if start is None else start.type
        if kind is not None and kind not in LEFT:
            yield (
                f"edges[{index}].from: {edge.start} is {_article(kind)} node; only conversation"
                " and tool nodes have outgoing edges"
            )
        elif kind is NodeType.CONVERSATION and not edge.described:
            yield f"edges[{index}].description: is required"
        if edge.start is None or edge.end is None:
            continue
        if edge.start == edge.end:
            yield f"edges[{index}].to: is the node that the edge leaves; no node leads to itself"
        elif (known_at := first.setdefault((edge.start, edge.end), index)) != index:
            yield f"edges[{index}]: edges[{known_at}] joins the same nodes already"


def _out_of_reach(graph: Graph) -> Iterator[str]:
    following = graph.following()
    reached: set[str] = set()
    waiting = [node.id for node in graph.nodes if node.is_global and node.id is not None]
    waiting += [graph.entry_node] if graph.entry_node is not None else []
    while waiting:
        node_id = waiting.pop()
        if node_id not in reached:
            reached.add(node_id)
            waiting += following.get(node_id, [])
    for index, node in enumerate(graph.nodes):
        if node.id is not None and node.id not in reached:
            yield (
                f"nodes[{index}]: {node.id} cannot be reached from {graph.entry_node}: add an edge"
                " to it or remove it"
            )


def _silent_circles(graph: Graph) -> Iterator[str]:
    """Follow the one edge of each tool node as long as it leads to tool nodes."""
    places = {node.id: n for n, node in enumerate(graph.nodes) if node.type is NodeType.TOOL}
    following = graph.following()
    done: set[str] = set()
    for node_id in places:
        path: list[str] = []
        at = node_id
        while at is not None and at in places and at not in done:
            done.add(at)
            path.append(at)
            at = next(iter(following.get(at, [])), None)
        if at is not None and at in path:
            circle = path[path.index(at) :]
            shown = " → ".join([*circle, at]) if len(circle) <= 5 else f"{len(circle)} of them"
            yield (
                f"nodes[{places[circle[0]]}]: tool nodes lead round in a circle ({shown}): the"
                " caller would never hear anything"
            )


def _unknown(graph: Graph, path: str, wanted: str, known: Mapping[str, Node]) -> Iterator[str]:
    """Say that no node has this id, unless it may be one that could not be read."""
    if any(node.id is None for node in graph.nodes):
        return
    close = difflib.get_close_matches(wanted[:_SHOWN], list(known), n=1, cutoff=0.5)
    yield f"{path}: there is no node {_cut(wanted)!r}" + (
        f"; did you mean {close[0]}?" if close else ""
    )


def _article(kind: NodeType | None) -> str:
    return f"an {kind}" if kind is NodeType.END else f"a {kind}"


def _cut(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
