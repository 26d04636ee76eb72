"""What clients send and see of a tool template, under the keys of every generation of clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, TypeAdapter
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from api.bodies import Body
from api.json_schemas import Parameters
from api.kinds import NAME_PATTERN, HttpUrl, Line, Name, Text, Timestamp, Uuid
from api.resources.tools import Destination, Function, Server, ToolName
from api.views import View
from db.templates import ToolTemplateRecord

ToolType = Literal["function", "end_call", "transfer_call", "endCall", "transferCall"]
_DESTINATIONS = [{"type": "number", "number": "+31201234567", "description": "The baker"}]
_PARAMETERS = {
    "type": "object",
    "properties": {"day": {"type": "string", "description": "ISO 8601"}},
    "required": ["day"],
}
_EXAMPLE: dict[str, Any] = {
    "name": "opening_hours",
    "description": "When the shop is open",
    "tool_type": "function",
    "tool_config": {"parameters": _PARAMETERS, "url": "https://example.com/hours", "async": False},
}


class FunctionConfig(Body):
    """A function answered by a webhook. Without a name it has that of its template."""

    aliases: ClassVar[Mapping[str, str]] = {"asyncResponse": "async_response"}
    example: ClassVar[Mapping[str, Any]] = _EXAMPLE["tool_config"]

    name: ToolName | None = None
    description: Text | None = None
    parameters: Parameters | None = None
    url: HttpUrl | None = None
    server: Server | None = None
    run_async: bool = Field(default=False, alias="async")
    async_response: Text | None = None
    message: Text | None = None


class EndCallConfig(Body):
    """The tool that hangs up takes nothing."""


class TransferCallConfig(Body):
    """Where calls may be transferred."""

    example: ClassVar[Mapping[str, Any]] = {"destinations": _DESTINATIONS}

    destinations: Annotated[list[Destination], Field(min_length=1, max_length=50)]


class FunctionDefinition(Function):
    """A function in the form of the first client; without a name it has that of its template."""

    name: ToolName | None = None  # type: ignore[assignment]  # an older form asks for less
    description: Text | None = None  # type: ignore[assignment]


CONFIGS: Mapping[str, type[Body]] = {
    "function": FunctionConfig,
    "end_call": EndCallConfig,
    "transfer_call": TransferCallConfig,
}


class _Common(Body):
    aliases: ClassVar[Mapping[str, str]] = {"type": "tool_type", "asyncResponse": "async_response"}

    description: Text | None = None
    tool_type: ToolType = Field(default="function", description="`type` is accepted too.")
    tool_config: dict[str, Any] = Field(default={}, description="Replaces the stored one whole.")
    url: HttpUrl | None = Field(default=None, description="As in `tool_config`.")
    run_async: bool = Field(default=False, alias="async", description="As in `tool_config`.")
    async_response: Text | None = Field(default=None, description="As in `tool_config`.")
    message: Text | None = Field(default=None, description="As in `tool_config`.")
    parameters: Parameters | None = Field(default=None, description="As in `tool_config`.")
    destinations: Annotated[list[Destination], Field(max_length=50)] | None = Field(
        default=None, description="As in `tool_config`."
    )
    function_definition: FunctionDefinition | None = Field(
        default=None, description="Older form of a function's name, description and parameters."
    )
    server_url: HttpUrl | None = Field(default=None, description="Older form of `url`.")
    server_secret: Line | None = Field(default=None, description="Signs what is sent there.")


class _Named(Body):
    name: Name
    description: Text | None = None


class _OfAFunction(Body):
    name: ToolName
    description: Text | None = None


class FunctionTemplate(_OfAFunction):
    """A function."""

    tool_type: Literal["function"]
    tool_config: FunctionConfig


class EndCallTemplate(_Named):
    """Hanging up."""

    tool_type: Literal["end_call", "endCall"]
    tool_config: EndCallConfig


class TransferCallTemplate(_Named):
    """Transferring the call."""

    tool_type: Literal["transfer_call", "transferCall"]
    tool_config: TransferCallConfig


class FlatFunctionTemplate(_OfAFunction):
    """A function, written flat."""

    type: Literal["function"]
    parameters: Parameters | None = None
    url: HttpUrl | None = None
    run_async: bool = Field(default=False, alias="async")
    async_response: Text | None = None
    message: Text | None = None


class FlatEndCallTemplate(_Named):
    """Hanging up, written flat."""

    type: Literal["end_call", "endCall"]


class FlatTransferCallTemplate(_Named):
    """Transferring the call, written flat."""

    type: Literal["transfer_call", "transferCall"]
    destinations: Annotated[list[Destination], Field(min_length=1, max_length=50)]


class FirstFunctionTemplate(_OfAFunction):
    """A function, in the form of the first client."""

    function_definition: FunctionDefinition
    server_url: HttpUrl
    server_secret: Line | None = None
    run_async: bool = Field(default=False, alias="async")


_FORMS: TypeAdapter[Any] = TypeAdapter(
    FunctionTemplate
    | EndCallTemplate
    | TransferCallTemplate
    | FlatFunctionTemplate
    | FlatEndCallTemplate
    | FlatTransferCallTemplate
    | FirstFunctionTemplate
)


class CreateToolTemplate(_Common):
    """A new template, in the form of any generation of clients."""

    example: ClassVar[Mapping[str, Any]] = _EXAMPLE

    name: Name

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the forms one by one; they may be mixed as long as they agree."""
        return {**handler(_FORMS.core_schema), "title": cls.__name__, "description": cls.__doc__}


def _in_its_newest_form(schema: JsonDict) -> None:
    """Document what every stored template takes; the older forms depend on its type."""
    properties = schema["properties"]
    assert isinstance(properties, dict)
    schema["properties"] = {
        # Of a function without a name of its own; others may have any.
        "name": {"type": "string", "pattern": NAME_PATTERN},
        "description": properties["description"],
    }
    schema["description"] = (
        "Only named fields change. The fields of creation, in all their forms, are accepted too:"
        " `tool_type`, `tool_config`, which replaces the stored one, and the older ones, each of"
        " which changes its part of it."
    )


class UpdateToolTemplate(_Common):
    """Changes of a template: only what is named. `tool_config` replaces the stored one."""

    model_config = ConfigDict(json_schema_extra=_in_its_newest_form)
    example: ClassVar[Mapping[str, Any]] = {"description": "When we are open"}

    name: Name = ""


class ToolTemplateView(View):
    """A tool template; what stands in `tool_config` stands under the older keys too."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "b8a0d3a2-0d29-4a3c-8a6e-6b1a5f0f7a12",
        "org_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        **_EXAMPLE,
        "type": "function",
        "url": "https://example.com/hours",
        "async": False,
        "async_response": None,
        "message": None,
        "parameters": _PARAMETERS,
        "destinations": None,
        "function_definition": {
            "name": "opening_hours",
            "description": "When the shop is open",
            "parameters": _PARAMETERS,
        },
        "server_url": "https://example.com/hours",
        "server_secret": None,
        "created_at": "2026-03-17T09:30:00.000Z",
        "updated_at": "2026-03-17T09:30:00.000Z",
    }

    id: Uuid
    org_id: Uuid
    name: str
    description: str | None
    tool_type: str
    type: str
    tool_config: dict[str, Any]
    url: str | None
    run_async: bool = Field(alias="async")
    async_response: str | None
    message: str | None
    parameters: dict[str, Any] | None
    destinations: list[dict[str, Any]] | None
    function_definition: dict[str, Any] | None
    server_url: str | None
    server_secret: str | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, record: ToolTemplateRecord) -> Self:
        """Show a row."""
        config = record.tool_config
        server = config.get("server") or {}
        definition = {
            "name": config.get("name") or record.name,
            "description": config.get("description") or record.description,
            "parameters": config.get("parameters"),
        }
        return cls.showing(
            record,
            org_id=record.organisation_id,
            type=record.tool_type,
            url=config.get("url") or server.get("url"),
            run_async=config.get("async", False),
            async_response=config.get("async_response"),
            message=config.get("message"),
            parameters=config.get("parameters"),
            destinations=config.get("destinations"),
            function_definition=definition if record.tool_type == "function" else None,
            server_url=server.get("url") or config.get("url"),
            server_secret=server.get("secret"),
        )
