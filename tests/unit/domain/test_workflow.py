"""Graphs of workflows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.workflow import Edge, Graph, Node, NodeType, faults, local_faults

C, T, X, E = NodeType.CONVERSATION, NodeType.TOOL, NodeType.TRANSFER, NodeType.END
TYPES: dict[str, NodeType] = {"c": C, "t": T, "x": X, "e": E, "g": C}
NAMES = st.sampled_from(["a", "b", "c", "d", "e"]) | st.none() | st.text(max_size=70)


def graph(entry: str, nodes: str, *edges: str) -> Graph:
    """Build one from ids whose first letter is the type (`g` is global) and from `c1>t1` edges.

    A tilde stands in the place of the arrow when the edge has no description.
    """
    found = []
    for edge in edges:
        start, _, end = edge.replace("~", ">").partition(">")
        found.append(Edge(start, end, ">" in edge))
    made = [Node(n, TYPES[n[0]], n[0] == "g") for n in nodes.split()]
    return Graph(entry, tuple(made), tuple(found))


@pytest.mark.parametrize(
    "legal",
    [
        graph("c1", "c1"),
        graph("c1", "c1 e1 x1", "c1>e1", "c1>x1"),
        graph("c1", "c1 c2", "c1>c2", "c2>c1"),
        graph("c1", "c1 t1 e1", "c1>t1", "t1~e1"),
        graph("c1", "c1 t1 t2", "c1>t1", "t1~t2", "t2~c1"),
        graph("c1", "c1 t1", "c1>t1", "t1>c1"),
        graph("c1", "c1 g1"),
        graph("c1", "g1 t1 e1 c1", "g1>t1", "t1~e1"),
        graph("g1", "g1 g2 c1", "g2>g1", "g1>c1"),
    ],
)
def test_a_legal_graph_has_no_faults(legal: Graph) -> None:
    assert faults(legal) == []


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        (graph("c2", "c1"), ["entry_node: there is no node 'c2'; did you mean c1?"]),
        (graph("zzz", "c1"), ["entry_node: there is no node 'zzz'"]),
        (graph("c1", ""), ["entry_node: there is no node 'c1'"]),
        (graph("t1", "c1 t1", "t1~c1"),
         ["entry_node: t1 is a tool node; it must be a conversation node"]),
        (graph("c1", "c1 c1"), ["nodes[1].id: c1 is the id of nodes[0] already"]),
        (graph("c1", "c1 e1", "c1>e2"),
         ["edges[0].to: there is no node 'e2'; did you mean e1?"]),
        (graph("c1", "c1 e1", "c2>e1", "c1>e1"),
         ["edges[0].from: there is no node 'c2'; did you mean c1?"]),
        (graph("c1", "c1", "c1>c1"),
         ["edges[0].to: is the node that the edge leaves; no node leads to itself"]),
        (graph("c1", "c1 e1", "c1>e1", "c1>e1"),
         ["edges[1]: edges[0] joins the same nodes already"]),
        (graph("c1", "c1 e1", "c1~e1"), ["edges[0].description: is required"]),
        (graph("c1", "c1 t1", "c1>t1"),
         ["nodes[1]: a tool node needs exactly one outgoing edge, not 0"]),
        (graph("c1", "c1 t1 e1", "c1>t1", "t1~e1", "t1~c1"),
         ["nodes[1]: a tool node needs exactly one outgoing edge, not 2"]),
        (graph("c1", "c1 e1", "c1>e1", "e1>c1"),
         ["edges[1].from: e1 is an end node; only conversation and tool nodes have outgoing"
          " edges"]),
        (graph("c1", "c1 x1", "c1>x1", "x1~c1"),
         ["edges[1].from: x1 is a transfer node; only conversation and tool nodes have outgoing"
          " edges"]),
        (graph("c1", "c1 c2"),
         ["nodes[1]: c2 cannot be reached from c1: add an edge to it or remove it"]),
        (graph("c1", "c1 c2 c3", "c2>c3", "c3>c2", "c2>c1"),
         ["nodes[1]: c2 cannot be reached from c1: add an edge to it or remove it",
          "nodes[2]: c3 cannot be reached from c1: add an edge to it or remove it"]),
        (graph("c1", "c1 t1 t2", "c1>t1", "t1~t2", "t2~t1"),
         ["nodes[1]: tool nodes lead round in a circle (t1 → t2 → t1): the caller would never"
          " hear anything"]),
        (graph("c1", "c1 t0 t1 t2 t3", "c1>t0", "t0~t1", "t1~t2", "t2~t3", "t3~t1"),
         ["nodes[2]: tool nodes lead round in a circle (t1 → t2 → t3 → t1): the caller would"
          " never hear anything"]),
    ],
)  # fmt: skip
def test_a_fault_is_named(wrong: Graph, lines: list[str]) -> None:
    assert faults(wrong) == lines


def test_every_fault_of_a_graph_has_its_line() -> None:
    wrong = graph("e1", "c1 c1 e1 t1", "c1~e1", "e1>c9", "c1~e1")
    assert faults(wrong) == [
        "entry_node: e1 is an end node; it must be a conversation node",
        "nodes[1].id: c1 is the id of nodes[0] already",
        "nodes[3]: a tool node needs exactly one outgoing edge, not 0",
        "edges[1].to: there is no node 'c9'; did you mean c1?",
        "edges[0].description: is required",
        "edges[1].from: e1 is an end node; only conversation and tool nodes have outgoing edges",
        "edges[2].description: is required",
        "edges[2]: edges[0] joins the same nodes already",
    ]


def test_what_could_not_be_read_is_not_held_against_the_rest() -> None:
    nodes = (Node("a", C), Node(None, C), Node("t", T), Node("u", None))
    edges = (Edge("a", "lost", True), Edge(None, "a"), Edge("u", "a"), Edge("a", None, True))
    assert local_faults(Graph("lost", nodes, edges)) == []
    assert local_faults(Graph(None, (), ())) == []


@given(
    st.builds(
        Graph,
        NAMES,
        st.lists(
            st.builds(Node, NAMES, st.none() | st.sampled_from(NodeType), st.booleans()),
            max_size=8,
        ),
        st.lists(st.builds(Edge, NAMES, NAMES, st.booleans()), max_size=12),
    )
)
def test_any_graph_has_faults_or_none_but_never_raises(found: Graph) -> None:
    assert all(": " in line for line in [*faults(found), *local_faults(found)])


@st.composite
def legal_graphs(draw: Any) -> Graph:
    """Grow a graph: each new node hangs on one that may be left; tools lead on to a later node."""
    nodes = [Node("n0", C)]
    edges: dict[tuple[str, str], Edge] = {}
    for index in range(1, draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(NodeType))
        node = Node(f"n{index}", kind, kind is C and draw(st.booleans()))
        spoken = [n.id for n in nodes if n.type is C]
        start = draw(st.sampled_from(spoken))
        assert start is not None
        assert node.id is not None
        if not node.is_global or draw(st.booleans()):
            edges[start, node.id] = Edge(start, node.id, True)
        if kind is T:
            end = draw(st.sampled_from(spoken))
            edges[node.id, end] = Edge(node.id, end, draw(st.booleans()))
        nodes.append(node)
    spoken = [n.id for n in nodes if n.type is C]
    for start in spoken:  # and a few more, among them circles
        end = draw(st.sampled_from([n.id for n in nodes]))
        assert start is not None
        assert end is not None
        if start != end:
            edges[start, end] = Edge(start, end, True)
    order = draw(st.permutations(nodes))
    return Graph("n0", order, draw(st.permutations(list(edges.values()))))


@given(legal_graphs())
def test_a_graph_built_by_the_rules_is_accepted(legal: Graph) -> None:
    assert faults(legal) == []


def test_the_largest_chain_is_checked_without_recursion() -> None:
    count = 5000
    nodes = [Node("c", C), *(Node(f"t{n}", T) for n in range(count))]
    edges = [Edge("c", "t0", True), *(Edge(f"t{n}", f"t{n + 1}") for n in range(count - 1))]
    assert faults(Graph("c", nodes, [*edges, Edge(f"t{count - 1}", "c")])) == []
    (line,) = faults(Graph("c", nodes, [*edges, Edge(f"t{count - 1}", "t0")]))
    assert f"({count} of them)" in line
