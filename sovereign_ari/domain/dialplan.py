"""Names that the dialplan and we must spell alike; a test compares them with asterisk/etc."""

from __future__ import annotations

from typing import Final

ANSWER_CONTEXT: Final = "sovereign-answer"
ANSWER_EXTENSION: Final = "answer"

ARGUMENT_INBOUND: Final = "inbound"
"""First Stasis argument of a new call; then number, codec, caller, presentation."""

ARGUMENT_ANSWERED: Final = "answered"
"""First Stasis argument of a call that comes back from `ANSWER_CONTEXT`."""

ARGUMENT_TIMEOUT: Final = "timeout"
"""First Stasis argument of a call whose longest duration is over."""

ARGUMENT_MEDIA: Final = "media"
"""First Stasis argument of our own external-media channels; the dialplan never sees it."""

VARIABLE_MAX_S: Final = "SOVEREIGN_MAX_S"
"""Set by us before `ANSWER_CONTEXT`: the longest call, in seconds."""

VARIABLE_CALL: Final = "SOVEREIGN_CALL"
"""Set by us on the caller's channel: the call id, for operators."""
