"""Reading of definitions of workflows."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.resources.workflow_reading import read_definition
from sovereign_ari.outgoing.policy import OutgoingPolicy
from tests.support.api import CATALOGUE
from tests.support.workflows import definition, talk, way

WORDS = st.sampled_from(
    ["a", "b", "conversation", "tool", "transfer", "end", "openai", "xai_realtime", "+31201234567"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "type", "provider", "model", "x"]), inner)
    ),
    max_leaves=6,
)
NODE_KEYS = [
    "id", "type", "instructions", "first_line", "ui", "global", "global_description",
    "llm_config", "voice", "tts_config", "stt_config", "tools", "tool_name", "url", "arguments",
    "destination", "other",
]  # fmt: skip
NODES = st.dictionaries(st.sampled_from(NODE_KEYS), JSON, max_size=8)
EDGES = st.dictionaries(st.sampled_from(["from", "to", "description", "message"]), JSON)
DEFINITIONS = st.fixed_dictionaries(
    {},
    optional={
        "version": JSON | st.just(1),
        "entry_node": JSON,
        "global_prompt": JSON,
        "nodes": JSON | st.lists(NODES | JSON, max_size=5),
        "edges": JSON | st.lists(EDGES | JSON, max_size=5),
    },
)


@given(JSON | DEFINITIONS)
def test_any_value_is_a_definition_or_has_faults(value: Any) -> None:
    found = read_definition(value, CATALOGUE, OutgoingPolicy())
    lines = [*found.lines, *found.realtime]
    assert lines or found.definition["version"] == 1
    assert all(line.startswith("definition") and ": " in line for line in lines)


@given(st.sampled_from(NODE_KEYS), JSON)
def test_any_value_in_a_node_is_kept_or_named_with_the_node(key: str, value: Any) -> None:
    graph = definition(talk(), talk("b", **{key: value}), edges=[way("start", "b")])
    found = read_definition(graph, CATALOGUE, OutgoingPolicy())
    places = {line.partition(":")[0] for line in [*found.lines, *found.realtime]}
    if key not in ("id", "type"):
        assert all(place.startswith("definition.nodes[1].") for place in places)
    if not places and key not in ("stt_config", "tts_config", "tools"):
        assert found.definition["nodes"][1] == talk("b", **{key: value})
