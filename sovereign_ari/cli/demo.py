"""The demo assistant: free conversation with a provider's key, else a guided dialogue."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from db.assistants import list_assistants, update_assistant
from db.demo import NAME, ensure_demo

_PHRASES: Final = [
    "what are your opening hours",
    "when are you open",
    "where are you",
    "what is your address",
    "i would like an appointment",
    "can i make an appointment",
    "tuesday",
    "thursday",
    "yes",
    "yes please",
    "no",
    "no thank you",
    "what can you do",
    "goodbye",
    "thank you goodbye",
]

_SCRIPT: Final[list[dict[str, Any]]] = [
    {
        "match": r"\bgoodbye\b",
        "say": "Thank you for calling. Goodbye!",
        "tool": {"name": "end_call"},
    },
    {
        "match": r"opening hours|are you open",
        "say": "We are open from nine in the morning until five in the afternoon, on weekdays.",
    },
    {
        "match": r"where are you|address",
        "say": "We are on the machine in front of you. Nothing you say leaves it.",
    },
    {
        "match": r"appointment",
        "say": "I have a place on Tuesday and one on Thursday. Which day do you prefer?",
    },
    {
        "match": r"\b(tuesday|thursday)\b",
        "say": "I have noted $1 at ten o'clock. Is that right?",
    },
    {
        "match": r"\bno\b",
        "say": "All right. You can ask for an appointment, or say goodbye.",
    },
    {
        "match": r"\byes\b",
        "say": "Wonderful, that is settled. Is there anything else?",
    },
    {
        "match": r"what can you do",
        "say": "I tell you our opening hours and our address, and I make appointments.",
    },
]

OFFLINE: Final[dict[str, Any]] = {
    "first_message": (
        "Hello, this is the demo assistant. "
        "Ask me for our opening hours, or for an appointment, or say goodbye."
    ),
    "stt_config": {"provider": "pocketsphinx", "phrases": _PHRASES},
    "llm_config": {"provider": "parrot", "script": _SCRIPT},
    "tts_config": {"provider": "espeak"},
}

ONLINE: Final[dict[str, Any]] = {
    "first_message": "Hello, this is the demo assistant. How can I help you?",
    "stt_config": None,
    "llm_config": {
        "provider": "openai",
        "model": "gpt-4.1-mini",
        "messages": [
            {
                "role": "system",
                "content": (
                    "You are the demo assistant of a telephone platform. You are on the phone: "
                    "answer in one or two short spoken sentences, without lists or symbols. "
                    "Speak the caller's language. When the caller says goodbye, say goodbye "
                    "and call end_call."
                ),
            }
        ],
        "tools": [{"type": "end_call"}],
    },
    "tts_config": None,
}


async def ensure_demo_assistant(
    connection: asyncpg.Connection, organisation_id: str, *, has_provider: bool
) -> None:
    """Make the demo at the first time, and follow a key that came or went since.

    A demo that the operator changed stays as it is.
    """
    wanted, other = (ONLINE, OFFLINE) if has_provider else (OFFLINE, ONLINE)
    await ensure_demo(connection, organisation_id, wanted)
    for assistant in await list_assistants(connection, organisation_id):
        untouched = all(getattr(assistant, name) == value for name, value in other.items())
        if assistant.name == NAME and untouched:
            await update_assistant(connection, organisation_id, assistant.id, wanted)
