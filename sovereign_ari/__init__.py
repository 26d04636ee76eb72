"""Sovereign ARI: AI assistants that answer and place telephone calls on Asterisk."""

__version__ = "0.1.0"
