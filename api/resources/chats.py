"""`/chats (deprecated)`."""

from __future__ import annotations

from api.endpoints import Endpoints

chats = Endpoints("Chats")
