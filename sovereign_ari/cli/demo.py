"""The demo assistant: free conversation with a provider's key, else a guided dialogue."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from db.assistants import ASSISTANTS
from db.demo import NAME, ensure_demo
from sovereign_ari.speech.demo import (
    DEMO_FIRST_MESSAGE,
    DEMO_FIRST_MESSAGE_OPENAI,
    DEMO_LLM_OFFLINE,
    DEMO_PROMPT,
    DEMO_STT_OFFLINE,
    DEMO_TTS_OFFLINE,
)

OFFLINE: Final[dict[str, Any]] = {
    "first_message": DEMO_FIRST_MESSAGE,
    "stt_config": DEMO_STT_OFFLINE,
    "llm_config": DEMO_LLM_OFFLINE,
    "tts_config": DEMO_TTS_OFFLINE,
}

ONLINE: Final[dict[str, Any]] = {
    "first_message": DEMO_FIRST_MESSAGE_OPENAI,
    "stt_config": None,
    "llm_config": {
        "provider": "openai",
        "messages": [{"role": "system", "content": DEMO_PROMPT}],
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
    for assistant in await ASSISTANTS.list(connection, organisation_id):
        untouched = all(getattr(assistant, name) == value for name, value in other.items())
        if assistant.name == NAME and untouched:
            await ASSISTANTS.update(connection, organisation_id, assistant.id, wanted)
