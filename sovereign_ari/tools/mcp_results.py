"""What an MCP server answers to the use of a tool, for the model. Pure."""

from __future__ import annotations

from mcp.types import AudioContent, CallToolResult, ContentBlock, ImageContent, TextContent

from sovereign_ari.conversation.tools import ToolAnswer


def read_result(result: CallToolResult) -> ToolAnswer:
    """Take the structured content, else the texts; pictures and sounds are only named."""
    text = "\n".join(_in_words(block) for block in result.content)
    if result.isError:
        return ToolAnswer({"error": text or "the tool failed and did not say why"}, failed=True)
    if result.structuredContent is not None:
        return ToolAnswer(result.structuredContent)
    return ToolAnswer(text)


def _in_words(block: ContentBlock) -> str:
    match block:
        case TextContent(text=text):
            return text
        case ImageContent():
            return "[an image]"
        case AudioContent():
            return "[a sound]"
        case _:
            return _resource(block)


def _resource(block: ContentBlock) -> str:
    text = getattr(getattr(block, "resource", None), "text", None)
    return text if isinstance(text, str) else f"[a resource: {getattr(block, 'uri', 'embedded')}]"
