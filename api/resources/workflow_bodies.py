"""What clients send and see of workflows.

The lists of a definition, and the definition itself, are described here and read by
`workflow_reading`: each fault is then named by the node it is in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    WrapValidator,
)

from api.bodies import Body, without_defaults
from api.kinds import E164, HttpUrl, JsonObject, Line, Name, Text, Timestamp, Uuid
from api.resources.assistant_bodies import SttBlock, TtsBlock
from api.resources.tools import MOST_TOOLS, Tool, ToolName
from api.views import View

MOST_NODES = 200
MOST_EDGES = 1000
_NODE_ID = r"^[a-z][a-z0-9_]{0,40}$"
DEFINITION: dict[str, Any] = {
    "version": 1,
    "entry_node": "greeting",
    "global_prompt": "You are the receptionist of a dentist. Be brief and friendly.",
    "nodes": [
        {
            "id": "greeting",
            "type": "conversation",
            "instructions": "Ask whether the caller wants an appointment.",
            "first_line": "Good morning, how can I help?",
            "ui": {"x": 0, "y": 0},
        },
        {"id": "find_slot", "type": "tool", "tool_name": "find_slot", "arguments": {"days": 7}},
        {"id": "choose", "type": "conversation", "instructions": "Offer the free times."},
        {"id": "emergency", "type": "transfer", "destination": "+31201234567"},
        {"id": "goodbye", "type": "end", "first_line": "Thank you, goodbye."},
    ],
    "edges": [
        {"from": "greeting", "to": "find_slot", "description": "The caller wants an appointment."},
        {"from": "greeting", "to": "emergency", "description": "The caller is in pain."},
        {"from": "find_slot", "to": "choose"},
        {"from": "choose", "to": "goodbye", "description": "A time was chosen."},
    ],
}
"""A complete definition, for the OpenAPI document."""

# Described as annotated, but taken as it comes: somebody else reads it.
_LATER = WrapValidator(lambda value, _: value)
_AS_IT_IS = PlainSerializer(lambda value: value)


def _node_id(text: str) -> str:
    if re.fullmatch(_NODE_ID, text) is None:
        raise ValueError(
            "needs a lower-case letter first, then lower-case letters, digits or _, at most 41 in"
            " all"
        )
    return text


def _version(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("input should be 1")  # noqa: TRY004 - pydantic reads ValueErrors
    return value


NodeId = Annotated[
    str, AfterValidator(_node_id), WithJsonSchema({"type": "string", "pattern": _NODE_ID})
]
# An id somewhere else in the graph: what it fails to name is said by the graph's own checks.
NodeRef = Annotated[Line, WithJsonSchema({"type": "string", "pattern": _NODE_ID})]
NonEmpty = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]


class Place(Body):
    """Where an editor draws a node; calls do not care."""

    x: float
    y: float


class _Node(Body):
    id: NodeId
    first_line: Text | None = None
    ui: Place | None = None


class NodeLlm(Body):
    """What a node changes of the assistant's model. Realtime providers are refused."""

    provider: Line | None = None
    model: Line | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None


class ConversationNode(_Node):
    """The assistant talks, until one of the outgoing edges fits."""

    type: Literal["conversation"]
    instructions: NonEmpty = Field(description="The definition's `global_prompt` goes before it.")
    is_global: bool = Field(
        default=False, alias="global", description="Reached from every conversation node."
    )
    global_description: NonEmpty | None = Field(
        default=None, description="When to come here; required when `global` is true."
    )
    llm_config: NodeLlm | None = None
    voice: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="Of the assistant's TTS provider; excludes `tts_config`."
    )
    tts_config: TtsBlock | None = None
    stt_config: SttBlock | None = None
    tools: Annotated[list[Tool], Field(max_length=MOST_TOOLS), _LATER, _AS_IT_IS] | None = None


class ToolNode(_Node):
    """A tool is called, and the single outgoing edge followed."""

    type: Literal["tool"]
    tool_name: ToolName
    url: HttpUrl | None = None
    arguments: JsonObject | None = None


class TransferNode(_Node):
    """The call is transferred."""

    type: Literal["transfer"]
    destination: E164


class EndNode(_Node):
    """The call ends."""

    type: Literal["end"]


Node = Annotated[ConversationNode | ToolNode | TransferNode | EndNode, Field(discriminator="type")]


class Edge(Body):
    """A way from one node to another, which leaves a conversation or a tool node."""

    start: NodeRef = Field(alias="from")
    end: NodeRef = Field(alias="to")
    description: NonEmpty | None = Field(
        default=None, description="When it is taken; required unless it leaves a tool node."
    )
    message: Text | None = Field(default=None, description="Spoken on the way.")


class Definition(Body):
    """The graph that drives a call."""

    example: ClassVar[Mapping[str, Any]] = DEFINITION

    version: Annotated[Literal[1], BeforeValidator(_version)]
    entry_node: NodeRef = Field(description="The id of a conversation node.")
    global_prompt: Text | None = None
    nodes: Annotated[list[Node], Field(min_length=1, max_length=MOST_NODES), _LATER, _AS_IT_IS]
    edges: Annotated[list[Edge], Field(max_length=MOST_EDGES), _LATER, _AS_IT_IS]


class CreateWorkflow(Body):
    """A new workflow."""

    example: ClassVar[Mapping[str, Any]] = {
        "name": "Appointments",
        "definition": DEFINITION,
        "is_active": True,
    }

    name: Name
    definition: Annotated[Definition, _LATER, _AS_IT_IS]
    is_active: bool = True


class UpdateWorkflow(Body):
    """Changes of a workflow: only what is named. The definition is replaced whole."""

    model_config = ConfigDict(json_schema_extra=without_defaults)
    example: ClassVar[Mapping[str, Any]] = {"name": "Appointments", "is_active": False}

    name: Name = ""
    definition: Annotated[Definition, _LATER, _AS_IT_IS] = Field(default=cast(Definition, None))
    is_active: bool = True


class WorkflowView(View):
    """A workflow."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "2f4d9a53-6c0e-4d5f-8a11-6d8a3c1f7e20",
        "name": "Appointments",
        "is_active": True,
        "definition": DEFINITION,
        "created_at": "2026-05-01T08:30:00.000Z",
        "updated_at": "2026-05-01T08:30:00.000Z",
    }

    id: Uuid
    name: str
    is_active: bool
    definition: Annotated[Definition, _AS_IT_IS]
    created_at: Timestamp
    updated_at: Timestamp


class WorkflowSummary(View):
    """A workflow in the list, without its definition."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "2f4d9a53-6c0e-4d5f-8a11-6d8a3c1f7e20",
        "name": "Appointments",
        "is_active": True,
        "entry_node": "greeting",
        "node_count": 5,
        "edge_count": 4,
        "created_at": "2026-05-01T08:30:00.000Z",
        "updated_at": "2026-05-01T08:30:00.000Z",
    }

    id: Uuid
    name: str
    is_active: bool
    entry_node: str | None
    node_count: int
    edge_count: int
    created_at: Timestamp
    updated_at: Timestamp
