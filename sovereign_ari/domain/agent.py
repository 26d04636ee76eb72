"""What an assistant is during one call: a frozen snapshot of everything the call needs.

The rows it is read from may change while the call runs; the call does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sovereign_ari.domain.owner import Owner
from sovereign_ari.domain.webhook import Webhook

Config: TypeAlias = Mapping[str, Any]
"""A provider block as the API stores it: `provider` and what else that provider takes."""


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """When the caller has finished, and when the agent is interrupted. Seconds throughout.

    Attributes:
        endpointing_min_delay_s: Silence after which a turn may end; three fifths of it, though
            0.2 at least, end a complete short answer, unless it is 1 s or more.
        endpointing_max_delay_s: Silence after which it ends whatever the words say.
        interruption_min_duration_s: How long speech must be to cut the agent off.
        interruption_min_words: How many words it must hold, backchannels not counted; 0 is
            content with any word.
        false_interruption_timeout_s: When a pause that no words followed ends and the agent goes
            on, although the recogniser has not answered; None waits for it, for 5 s at most.
    """

    endpointing_min_delay_s: float = 0.4
    endpointing_max_delay_s: float = 2.0
    interruption_min_duration_s: float = 0.3
    interruption_min_words: int = 0
    false_interruption_timeout_s: float | None = 1.5


@dataclass(frozen=True, slots=True)
class SilencePlan:
    """What an assistant does about a caller who says nothing. Seconds throughout.

    Attributes:
        first_check_s: Silence of both sides before the first check.
        interval_s: Silence before each further check, and before the goodbye.
        max_attempts: How many checks before the goodbye.
        messages: What the checks say, in turn; empty lets the model find the words.
        final_message: The goodbye, None to let the model find the words.
    """

    first_check_s: float = 3.0
    interval_s: float = 12.0
    max_attempts: int = 3
    messages: tuple[str, ...] = ()
    final_message: str | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """A room to be heard behind an assistant.

    Attributes:
        clip: `office`, `city`, `forest` or `crowded_room`.
        volume: 0.05 to 1, as a share of the clip's own level.
    """

    clip: str
    volume: float


@dataclass(frozen=True, slots=True)
class Assistant:
    """The snapshot of an assistant that one call runs on.

    Attributes:
        id: Assistant id, a UUID in text form.
        organisation_id: Its tenant.
        name: For logs, lists and the operator's status line.
        first_message: Greeting, or None to let the caller begin.
        llm: `llm_config`, with the platform default filled in.
        stt: `stt_config`, likewise.
        tts: `tts_config`, likewise.
        turn_taking: From `speech_config.turn_taking`.
        end_call_message: Spoken before the agent hangs up by tool, or None.
        max_duration_s: Longest call.
        silence_timeout_s: Ends a call in which neither side speaks; None never does.
        silence: What to do about a silent caller before that; None does nothing.
        first_message_outbound: Greeting of calls that we placed, None for `first_message`.
        pronunciation: Pairs of what is written and what the voice is given instead.
        background: The room behind the voice, or None.
        end_call_phrases: What ends the call when the assistant has said it, and nobody spoke up
            before the reply that holds it was heard to its end.
        sealed_keys: The organisation's own keys of vendors, by provider, as they are stored.
        webhook: Where events go: the assistant's own, else the account's; None for nowhere.
        shown: The whole configuration as webhooks show it, without secrets, with `metadata`.
        webhook_secret: Signs tool calls that go to a server of their own: the assistant's, else
            the account's.
        voicemail_detection: Whether machines that answer calls of ours are recognised.
        voicemail_message: What is said to a voicemail; None hangs up on it.
    """

    id: str
    organisation_id: str
    name: str
    first_message: str | None
    llm: Config = field(repr=False)
    stt: Config
    tts: Config
    turn_taking: TurnTaking = field(default_factory=TurnTaking)
    end_call_message: str | None = None
    max_duration_s: float = 3600.0
    silence_timeout_s: float | None = None
    silence: SilencePlan | None = None
    first_message_outbound: str | None = None
    pronunciation: tuple[tuple[str, str], ...] = ()
    background: Background | None = None
    end_call_phrases: tuple[str, ...] = ()
    sealed_keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    webhook: Webhook | None = None
    shown: Config = field(default_factory=dict, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    voicemail_detection: bool = False
    voicemail_message: str | None = None

    def greeting(self, *, outbound: bool) -> str:
        """What it says first; empty lets the other side begin."""
        own = (self.first_message_outbound or "").strip() if outbound else ""
        return own or (self.first_message or "").strip()


@dataclass(frozen=True, slots=True)
class Route:
    """What the database says about a dialled number.

    Attributes:
        organisation_id: Owner of the number; the operator's organisation when nobody owns it.
        number_id: Row id of the number, None for an extension or an unknown number.
        assistant: Who answers, or None.
        refusal: Why nobody answers (a sentence for the operator), when `assistant` is None.
        known: Whether the number exists at all; an unknown one is answered with SIP 404.
        number_name: What people call the number.
        owner: Whose number it is, None when nobody owns it.
        saved: The fields of `assistant` as they are stored, for changes of it.
        asks: Who is asked before the call is answered, None for nobody.
        rejection: What is said to a caller who is turned away. *Personal.* Empty says nothing;
            None turns nobody away.
        trunk_id: The owner's SIP trunk that the call came by; None when it came by none.
    """

    organisation_id: str
    number_id: str | None
    assistant: Assistant | None
    refusal: str | None = None
    known: bool = True
    number_name: str | None = None
    owner: Owner | None = None
    saved: Mapping[str, Any] | None = field(default=None, repr=False)
    asks: Webhook | None = None
    rejection: str | None = field(default=None, repr=False)
    trunk_id: str | None = None
