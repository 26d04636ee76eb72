"""Requests to servers that others configure: where they may go, and how they are made."""
