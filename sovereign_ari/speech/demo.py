"""The demo assistant: a small guided dialogue that needs no key, and a free one for OpenAI.

The offline one says what it is. It understands the sentences of `demo.jsgf` and answers by
`_SCRIPT`; it books nothing.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

DEMO_FIRST_MESSAGE = (
    "Hello, and welcome. This is the Sovereign demo line. I am a small offline assistant, so I "
    "only know a few sentences. You can ask for our opening hours, make an appointment, or say "
    "help."
)

DEMO_FIRST_MESSAGE_OPENAI = "Hello, and welcome to the Sovereign demo line. What can I do for you?"

DEMO_PROMPT = (
    "You are the friendly receptionist of a demo line, on the telephone. Answer in one or two "
    "short sentences of plain spoken words: no lists, no symbols, no emoji. The opening hours are "
    "nine to five, Monday to Friday. When somebody wants an appointment, ask for a day and a "
    "time, repeat them, and say that this is only a demonstration, so nothing is really booked. "
    "When the caller says goodbye, say goodbye and call end_call."
)

_GRAMMAR = resources.files("sovereign_ari.speech").joinpath("demo.jsgf").read_text("utf-8")

_DAY = "monday|tuesday|wednesday|thursday|friday"
_HOUR = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|noon"
_NOTED = (
    "I have noted it. This is only a demonstration, so nothing is really booked. "
    "Can I do anything else for you?"
)

_SCRIPT: list[dict[str, Any]] = [
    {
        "match": r"\b(goodbye|bye|that is all)\b",
        "say": "Thank you for calling. Goodbye!",
        "tool": {"name": "end_call"},
    },
    {
        "match": r"\b(repeat|say that again|pardon)\b",
        "say": "$previous",
    },
    {
        "match": r"\b(saturday|sunday)\b",
        "say": "I am sorry, we are closed at the weekend. We are open from Monday to Friday. "
        "Which of these days would suit you?",
    },
    {
        "match": rf"open (today|tomorrow|on ({_DAY}))\b|^are you open ({_DAY})\b",
        "say": "From Monday to Friday we are open from nine to five. "
        "Would you like to make an appointment?",
    },
    {
        "match": r"\b(open|close|hours)\b",
        "say": "We are open from nine in the morning to five in the afternoon, Monday to Friday. "
        "Would you like to make an appointment?",
    },
    {
        "match": rf"\b({_DAY}|today|tomorrow)( morning| afternoon)? at (.+)$",
        "say": f"$1$2, at $3. {_NOTED}",
    },
    {
        "match": rf"\b({_DAY}|today|tomorrow)( morning| afternoon)?\b",
        "say": "$1$2, very well. At what time? You can say, for example: at ten o'clock.",
    },
    {
        "match": r"\bappointment\b",
        "say": "With pleasure. Which day would suit you, from Monday to Friday?",
    },
    {
        "match": r"^(my number is )?(((zero|oh|one|two|three|four|five|six|seven|eight|nine) ?)"
        r"((zero|oh|one|two|three|four|five|six|seven|eight|nine) ).+)$",
        "say": "I heard the number: $2. Is there anything else?",
    },
    {
        "match": rf"^(at )?((half past )?({_HOUR})\b.*)$",
        "say": f"At $2. {_NOTED}",
    },
    {
        "match": r"^(no|that is wrong|wrong)\b",
        "say": "All right. You can ask for the opening hours, make an appointment, "
        "or say goodbye.",
    },
    {
        "match": r"^(yes|sure|okay|correct|that is right)\b",
        "say": "Good. Shall I tell you the opening hours, or make an appointment? "
        "If so, just name a day.",
    },
    {
        "match": r"\b(who are you|robot|computer)\b",
        "say": "I am a computer program. I run without any cloud service, "
        "and I follow a small script.",
    },
    {
        "match": r"\b(help|what can)\b",
        "say": "You can say: when are you open. Or: I would like to make an appointment. "
        "Or name a day and a time. To end the call, say goodbye.",
    },
    {
        "match": r"\b(thank you|thanks)\b",
        "say": "You are welcome. Is there anything else?",
    },
    {
        "match": r"^(hello|hi|good)\b",
        "say": "Hello! You can ask for the opening hours, or make an appointment.",
    },
    {
        "match": r".",
        "say": "I am sorry, that is not something I know. Say help to hear what I understand.",
    },
]

DEMO_LLM_OFFLINE: dict[str, Any] = {
    "provider": "parrot",
    "model": "parrot-1",
    "script": _SCRIPT,
    "tools": [{"type": "end_call"}],
}
DEMO_STT_OFFLINE: dict[str, Any] = {
    "provider": "pocketsphinx",
    "model": "en-us",
    "language": "en",
    "grammar": _GRAMMAR,
}
DEMO_TTS_OFFLINE: dict[str, Any] = {
    "provider": "espeak",
    "model": "espeak-ng",
    "voice_id": "en-gb",
    "speed": 150,
}
