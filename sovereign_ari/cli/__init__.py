"""The `sovereign` command."""
