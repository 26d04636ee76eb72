"""What clients tell live calls."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, Field, RootModel, StringConstraints, WithJsonSchema

from api.bodies import Body, parse, refusal
from api.kinds import E164, E164_PATTERN
from sovereign_ari.domain import control
from sovereign_ari.domain.sip_uri import is_sip, read_sip_uri

LONGEST = 20_000
_WORDS_PATTERN = r"[^\x00-\x20\x7f-\xa0]"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
# RFC 3261 section 25.1, without passwords, headers and other parameters.
_SIP_URI_PATTERN = (
    r"^sips?:(?:[A-Za-z0-9_.!~*'()&=+$,%-]{1,128}@)?"
    rf"(?:{_LABEL}(?:[.]{_LABEL}){{0,15}}|\[[0-9A-Fa-f:.]{{2,45}}\])"
    rf"(?::{_PORT})?(?:;transport=(?:udp|tcp|tls))?$"
)
_EXTENSION_PATTERN = "^[0-9]{2,6}$"
_DESTINATION = re.compile(f"{E164_PATTERN}|{_EXTENSION_PATTERN}|{_SIP_URI_PATTERN}")


def _spoken(text: str) -> str:
    if re.search(_WORDS_PATTERN, text) is None:
        raise ValueError("is empty")
    return text


def _destination(text: str) -> str:
    if _DESTINATION.fullmatch(text) is None:
        if is_sip(text):
            read_sip_uri(text)  # says exactly what is wrong
        raise ValueError(
            "is neither a number in E.164 form, such as +31201234567, nor an extension, nor a SIP"
            " URI, such as sip:desk@example.com"
        )
    return text


Words = Annotated[
    str,
    StringConstraints(max_length=LONGEST),
    AfterValidator(_spoken),
    WithJsonSchema({"type": "string", "maxLength": LONGEST, "pattern": _WORDS_PATTERN}),
]
TransferDestination = Annotated[
    str,
    StringConstraints(max_length=512),
    AfterValidator(_destination),
    WithJsonSchema(
        {
            "type": "string",
            "description": "A number in E.164 form, an extension of 2 to 6 digits, or a SIP URI"
            " without a password.",
            "anyOf": [
                {"pattern": E164_PATTERN},
                {"pattern": _EXTENSION_PATTERN},
                {"pattern": _SIP_URI_PATTERN},
            ],
        }
    ),
]


class InjectContext(Body):
    """Tells the model something that the caller does not hear."""

    example: ClassVar = {
        "type": "inject-context",
        "content": "The caller's order 4711 was shipped today.",
        "trigger_response": True,
    }

    type: Literal["inject-context"]
    content: Words
    trigger_response: bool = Field(description="Whether the assistant speaks at once.")

    def command(self) -> control.ControlCommand:
        """As the controller takes it."""
        return control.InjectContext(self.content, self.trigger_response)


class Say(Body):
    """Has the assistant say something, word for word."""

    example: ClassVar = {
        "type": "say",
        "content": "One moment, a colleague is looking it up.",
        "end_after": False,
    }

    type: Literal["say"]
    content: Words
    end_after: bool = Field(description="Whether the call ends once it was heard.")

    def command(self) -> control.ControlCommand:
        """As the controller takes it."""
        return control.Say(self.content, self.end_after)


class EndCall(Body):
    """Ends the call."""

    example: ClassVar = {"type": "end-call", "message": "Thank you for calling. Goodbye."}

    type: Literal["end-call"]
    message: Words | None = Field(default=None, description="Last words, heard to their end.")

    def command(self) -> control.ControlCommand:
        """As the controller takes it."""
        return control.EndCall(self.message)


class Transfer(Body):
    """Transfers the call."""

    example: ClassVar = {
        "type": "transfer",
        "destination": "+31201234567",
        "message": "I am putting you through.",
        "mode": "warm",
        "hold": "music",
        "timeout_seconds": 20,
        "caller_id": "+31207654321",
    }

    type: Literal["transfer"]
    destination: TransferDestination
    message: Words | None = Field(default=None, description="Said before the transfer.")
    mode: Literal["blind", "refer", "warm"] = "blind"
    hold: Literal["music", "assistant"] = Field(
        default="music",
        description="What the caller has until somebody takes the call: music (a ringing tone when"
        " `blind`), or the assistant, who goes on talking with him. No matter when `refer`.",
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    caller_id: E164 | None = None

    def command(self) -> control.ControlCommand:
        """As the controller takes it."""
        return control.Transfer(
            self.destination,
            self.message,
            self.mode,
            float(self.timeout_seconds),
            self.caller_id,
            self.hold,
        )


class Cancel(Body):
    """Gives up an outgoing call that nobody has answered."""

    example: ClassVar = {"type": "cancel"}

    type: Literal["cancel"]

    def command(self) -> control.ControlCommand:
        """As the controller takes it."""
        return control.Cancel()


_KINDS: dict[Any, type[Body]] = {
    "inject-context": InjectContext,
    "say": Say,
    "end-call": EndCall,
    "transfer": Transfer,
    "cancel": Cancel,
}


class ControlBody(
    RootModel[
        Annotated[InjectContext | Say | EndCall | Transfer | Cancel, Field(discriminator="type")]
    ]
):
    """One command; `type` says which."""

    example: ClassVar = Say.example

    @classmethod
    def model_validate(cls, obj: Any, **_options: Any) -> Self:
        """Check by the type that is named, so that faults name fields and not alternatives.

        Raises:
            InvalidRequest: With one line per fault.
        """
        if "type" not in obj:
            raise refusal(["type: is required"])
        kind = obj["type"]
        if not isinstance(kind, str) or kind not in _KINDS:
            raise refusal([f"type: is not one of {', '.join(_KINDS)}"])
        command: Any = parse(_KINDS[kind], obj)
        return cast("Self", cls.model_construct(command))
