"""The tools of calls: webhooks, transfers, and tools of MCP servers."""
