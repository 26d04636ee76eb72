"""Turns exported assistants of other platforms into ours, and says what was left behind."""
