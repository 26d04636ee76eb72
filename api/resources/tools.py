"""Functions an assistant's model may call: the shapes of `llm_config.tools[]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from api.bodies import Body, faults
from api.kinds import E164, NAME_PATTERN, HttpUrl, Line, Text, Uuid

MOST_TOOLS = 64
SPELLINGS = {"endCall": "end_call", "transferCall": "transfer_call"}


def _parameters(schema: dict[str, Any]) -> dict[str, Any]:
    """A function takes an object; vendors refuse anything else."""
    if schema.get("type", "object") != "object":
        raise ValueError("is not the JSON Schema of an object: `type` must be object")
    if not isinstance(schema.get("properties", {}), dict):
        raise ValueError("is not a JSON Schema: `properties` must be an object")  # noqa: TRY004
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise ValueError("is not a JSON Schema: `required` must be a list of names")
    return schema


ToolName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Parameters = Annotated[
    dict[str, Any],
    AfterValidator(_parameters),
    WithJsonSchema(
        {
            "type": "object",
            "description": "The JSON Schema of an object.",
            "properties": {
                "type": {"const": "object"},
                "properties": {"type": "object"},
                "required": {"type": "array", "items": {"type": "string"}},
            },
        }
    ),
]


class Server(Body):
    """Where a nested function is sent."""

    url: HttpUrl
    secret: Line | None = None


class WebhookTool(Body):
    """A function answered by a webhook, written flat."""

    aliases: ClassVar[Mapping[str, str]] = {"asyncResponse": "async_response"}

    name: ToolName
    description: Text
    parameters: Parameters | None = None
    url: HttpUrl | None = None
    run_async: bool = Field(default=False, alias="async")
    async_response: Text | None = None
    message: Text | None = None


class Function(Body):
    """The function of a nested tool."""

    name: ToolName
    description: Text
    parameters: Parameters | None = None


class FunctionTool(Body):
    """A function answered by a webhook, in OpenAI's form. `url` wins over `server.url`."""

    aliases: ClassVar[Mapping[str, str]] = {"asyncResponse": "async_response"}

    type: Literal["function"]
    function: Function
    server: Server | None = None
    url: HttpUrl | None = None
    run_async: bool = Field(default=False, alias="async")
    async_response: Text | None = None
    message: Text | None = None


class EndCallTool(Body):
    """Lets the assistant hang up. `endCall` is accepted too."""

    type: Literal["end_call"]


class Destination(Body):
    """Where a call may be transferred; `description` tells the model when."""

    type: Literal["number"]
    number: E164
    description: Text
    message: Text | None = None


class TransferCallTool(Body):
    """Lets the assistant transfer the call. `transferCall` is accepted too."""

    type: Literal["transfer_call"]
    destinations: Annotated[list[Destination], Field(min_length=1, max_length=50)]


class McpTool(Body):
    """Tools of an MCP server."""

    type: Literal["mcp"]
    mcp_server_id: Uuid
    allowed_tools: Annotated[list[Line], Field(max_length=25)]
    required: bool = True


Tool = WebhookTool | FunctionTool | EndCallTool | TransferCallTool | McpTool
TOOL: TypeAdapter[Tool] = TypeAdapter(Tool)
_BY_TYPE: Mapping[Any, type[Body]] = {
    "function": FunctionTool,
    "end_call": EndCallTool,
    "transfer_call": TransferCallTool,
    "mcp": McpTool,
}


def read_tools(tools: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Check a list of tools.

    Returns:
        The tools as they are stored, in the canonical spelling, and what is wrong with them: one
        line per fault, `tools[0].name: what`.
    """
    if not isinstance(tools, list):
        return [], ["tools: is not a list"]
    if len(tools) > MOST_TOOLS:
        return [], [f"tools: has more than {MOST_TOOLS} items"]
    stored, lines, names = [], [], set()
    for index, tool in enumerate(tools):
        read, wrong = _read_tool(tool)
        lines += [f"tools[{index}]{line}" for line in wrong]
        name = read.get("function", read).get("name")
        if name is not None and name in names:
            lines.append(f"tools[{index}]: a tool named {name} stands in the list already")
        names.add(name)
        stored.append(read)
    return stored, lines


def _read_tool(tool: Any) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(tool, dict):
        return {}, [": is not an object"]
    kind = tool.get("type")
    if kind is None and "type" not in tool:
        model: type[Body] | None = WebhookTool
    else:
        kind = SPELLINGS.get(kind, kind) if isinstance(kind, str) else None
        tool, model = {**tool, "type": kind}, _BY_TYPE.get(kind)
    if model is None:
        return {}, [f".type: is not one of {', '.join(map(str, _BY_TYPE))}"]
    try:
        return model.model_validate(tool).given(), []
    except ValidationError as error:
        return {}, [line if line.startswith(":") else f".{line}" for line in faults(model, error)]
