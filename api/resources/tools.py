"""Functions an assistant's model may call: the shapes of `llm_config.tools[]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.config import JsonDict

from api.bodies import Body, faults
from api.json_schemas import Parameters, parts_of
from api.kinds import E164, E164_PATTERN, NAME_PATTERN, HttpUrl, Line, Text, Uuid, e164
from api.resources.trunk_addresses import parse_address
from sovereign_ari.domain.sip_uri import USER, is_sip, read_sip_uri
from sovereign_ari.outgoing.policy import OutgoingPolicy

MOST_TOOLS = 64
MOST_SCHEMA_PARTS = 2000  # of all tools together: checking one takes 0.3 ms
SPELLINGS = {"endCall": "end_call", "transferCall": "transfer_call"}
_SIP_URI = re.compile(rf"(?i)sips?:(?:{USER}@)?([^@]+)")
_EXTENSION_PATTERN = "^[1-9][0-9]{1,5}$"  # a zero in front is rather a number without a country
_EXTENSION = re.compile(_EXTENSION_PATTERN)
_SIP_URI_PATTERN = (
    rf"^sips?:({USER}@)?([a-z0-9]{{1,32}}\.){{1,3}}[a-z]{{2,24}}(:[1-9][0-9]{{3}})?$"
)

ToolName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class Server(Body):
    """Where a nested function is sent."""

    url: HttpUrl
    secret: Line | None = None


class WebhookTool(Body):
    """A function answered by a webhook, written flat. Templates have `type` beside the rest."""

    aliases: ClassVar[Mapping[str, str]] = {"asyncResponse": "async_response"}

    type: Literal["function"] = "function"
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


def _of_its_type(schema: JsonDict) -> None:
    """Say that the type decides on the form of `number`."""
    patterns = {"number": f"{E164_PATTERN}|{_EXTENSION_PATTERN}", "sip": _SIP_URI_PATTERN}
    schema["oneOf"] = [
        {"properties": {"type": {"const": kind}, "number": {"pattern": pattern}}}
        for kind, pattern in patterns.items()
    ]


class Destination(Body):
    """Where a call may be transferred; `description` tells the model when.

    `number` is E.164 or an extension, or a SIP URI when the type is `sip`; `phone_number` and
    `sip_uri` are other names of it.
    """

    model_config = ConfigDict(json_schema_extra=_of_its_type)
    aliases: ClassVar[Mapping[str, str]] = {"sip_uri": "number", "phone_number": "number"}
    example: ClassVar[Mapping[str, Any]] = {
        "type": "number",
        "number": "+31201234567",
        "description": "The baker, for large orders",
        "message": "I will put you through.",
        "mode": "warm",
        "hold": "assistant",
        "timeout_seconds": 20,
    }

    type: Literal["number", "sip"]
    number: Annotated[str, StringConstraints(max_length=512), WithJsonSchema({"type": "string"})]
    description: Text
    message: Text | None = None
    mode: Literal["blind", "refer", "warm"] = "blind"
    hold: Literal["music", "assistant"] = Field(
        default="music",
        description="What the caller has until somebody takes the call: music (a ringing tone when"
        " `blind`), or the assistant, who goes on talking with him. No matter when `refer`.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    caller_id: E164 | None = None

    @field_validator("number")
    @classmethod
    def _fits(cls, text: str, info: ValidationInfo) -> str:
        match info.data.get("type"):
            case "number":
                return text if _EXTENSION.fullmatch(text) else e164(text)
            case "sip":
                return sip_uri(text)
            case _:
                return text  # the type is at fault


def sip_uri(text: str) -> str:
    """Check where a call may be transferred by SIP.

    Raises:
        ValueError: If it is no SIP URI, or one that no call is transferred to.
    """
    if is_sip(text):
        read_sip_uri(text)  # says exactly what is wrong
    match = _SIP_URI.fullmatch(text)
    if match is None:
        raise ValueError("is not a SIP URI without a password, such as sip:desk@example.com")
    parse_address(f"sip:{match[1]}")
    return text


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


def read_tools(tools: Any, outgoing: OutgoingPolicy) -> tuple[list[dict[str, Any]], list[str]]:
    """Check a list of tools.

    Args:
        tools: What was sent.
        outgoing: Decides on the URLs in it.

    Returns:
        The tools as they are stored, in the canonical spelling, and what is wrong with them: one
        line per fault, `tools[0].name: what`.
    """
    if not isinstance(tools, list):
        return [], ["tools: is not a list"]
    if len(tools) > MOST_TOOLS:
        return [], [f"tools: has more than {MOST_TOOLS} items"]
    if sum(_schema_parts(tool) for tool in tools) > MOST_SCHEMA_PARTS:
        return [], [f"tools: their parameters have more than {MOST_SCHEMA_PARTS} parts together"]
    stored, lines, names = [], [], set()
    for index, tool in enumerate(tools):
        read, wrong = _read_tool(tool)
        wrong += url_faults(read, outgoing)
        lines += [f"tools[{index}]{line}" for line in wrong]
        name = read.get("function", read).get("name")
        if name is not None and name in names:
            lines.append(f"tools[{index}]: a tool named {name} stands in the list already")
        names.add(name)
        stored.append(read)
    return stored, lines


def url_faults(tool: Mapping[str, Any], outgoing: OutgoingPolicy) -> list[str]:
    """Say which URLs of a tool must not be reached, one line `.path: what` each."""
    urls = {".url": tool.get("url"), ".server.url": (tool.get("server") or {}).get("url")}
    return [
        f"{path}: {fault}"
        for path, url in urls.items()
        if url is not None and (fault := outgoing.fault(url)) is not None
    ]


def without_secret(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A stored tool, or its config, as those see it who may not know what signs its calls."""
    server = tool.get("server")
    return {**tool, "server": {**server, "secret": None}} if server else dict(tool)


def _schema_parts(tool: Any) -> int:
    """How much there is to check in the schema of a tool, whatever that is."""
    inner = tool.get("function", tool) if isinstance(tool, dict) else None
    schema = inner.get("parameters") if isinstance(inner, dict) else None
    return sum(isinstance(part, dict | list) for part, _ in parts_of(schema))


def _read_tool(tool: Any) -> tuple[dict[str, Any], list[str]]:
    if not isinstance(tool, dict):
        return {}, [": is not an object"]
    kind = tool.get("type")
    if kind == "function" and "name" in tool and "function" not in tool:
        tool = {name: value for name, value in tool.items() if name != "type"}
    if "type" not in tool:
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
