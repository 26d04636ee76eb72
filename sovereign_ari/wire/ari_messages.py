"""The ARI objects that we read, and nothing else: https://docs.asterisk.org, events.json 22.10.

Asterisk's own spelling stops here. Unknown events decode to None, unknown fields are ignored,
because each release adds some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

_SOFTHANGUP_DEV = 1
_SOFTHANGUP_SHUTDOWN = 4
_SOFTHANGUP_EXPLICIT = 32


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Dialplan(_Message):
    """Where a channel stands in the dialplan; `app_data` are the arguments of `app_name`."""

    context: str = ""
    exten: str = ""
    app_name: str = ""
    app_data: str = ""

    @property
    def stasis(self) -> str | None:
        """The Stasis application that has the channel, None when none has."""
        return self.app_data.partition(",")[0] if self.app_name == "Stasis" else None


class Channel(_Message):
    """One leg.

    Attributes:
        state: `Down`, `Ring`, `Ringing`, `Up`, ...
        channelvars: Variables that ARI adds to the snapshot, e.g. the RTP address of an
            external-media channel.
    """

    id: str
    name: str = ""
    state: str = ""
    creationtime: str = ""
    dialplan: Dialplan = Dialplan()
    channelvars: Mapping[str, Any] = Field(default_factory=dict)


class Bridge(_Message):
    """A bridge and the legs in it. We name ours after our application."""

    id: str
    name: str = ""
    channels: tuple[str, ...] = ()


class Application(_Message):
    """A Stasis application and what it owns."""

    name: str
    channel_ids: tuple[str, ...] = ()
    bridge_ids: tuple[str, ...] = ()


class StasisStart(_Message):
    """A channel entered our application with the dialplan's arguments.

    Attributes:
        channel: It.
        args: The arguments.
        replace_channel: In whose place it came, when a phone joined two of its calls.
    """

    type: Literal["StasisStart"]
    channel: Channel
    args: tuple[str, ...] = ()
    replace_channel: Channel | None = None


class StasisEnd(_Message):
    """A channel left our application: hung up, or sent back into the dialplan."""

    type: Literal["StasisEnd"]
    channel: Channel


class ChannelStateChange(_Message):
    """The channel rings, or is up: `channel.state` says which."""

    type: Literal["ChannelStateChange"]
    channel: Channel


class Dial(_Message):
    """What became of a channel that we dial.

    Attributes:
        dialstatus: Empty at the begin, then `RINGING`, `PROGRESS` (audio before the answer),
            `ANSWER`; `CANCEL` with a redirection, which Asterisk does not follow for us.
    """

    type: Literal["Dial"]
    channel: Channel = Field(alias="peer")
    dialstatus: str = ""


class ChannelHangupRequest(_Message):
    """Somebody wants the channel gone.

    Attributes:
        cause: Q.850, 0 or absent when unknown; but when it is `soft`, why our own PBX wants it:
            an AST_SOFTHANGUP_ flag of channel.h.
        soft: Whether it was our own PBX that decided so.
        tech_cause: The SIP status that ended it, absent when there was none (22.7 on).
    """

    type: Literal["ChannelHangupRequest"]
    channel: Channel
    cause: int | None = None
    soft: bool | None = None
    tech_cause: int | None = None

    @property
    def q850(self) -> int:
        """The other side's cause, 0 when unknown."""
        return 0 if self.soft else self.cause or 0

    @property
    def by_timeout(self) -> bool:
        """Whether the channel's driver ended it: no audio came for `rtp_timeout`."""
        return self.soft is True and self.cause == _SOFTHANGUP_DEV

    @property
    def by_order(self) -> bool:
        """Whether it was told to, at the console or over ARI, or is shut down."""
        return self.soft is True and self.cause in (_SOFTHANGUP_SHUTDOWN, _SOFTHANGUP_EXPLICIT)


class ChannelDestroyed(_Message):
    """The channel is gone. The last word about it."""

    type: Literal["ChannelDestroyed"]
    channel: Channel
    cause: int = 0
    tech_cause: int | None = None


class ChannelToneDetected(_Message):
    """TONE_DETECT heard its tone on the channel."""

    type: Literal["ChannelToneDetected"]
    channel: Channel


class ChannelDtmfReceived(_Message):
    """A digit ended on the channel."""

    type: Literal["ChannelDtmfReceived"]
    channel: Channel
    digit: str
    duration_ms: int = 0


class ChannelTalkingStarted(_Message):
    """The channel became loud: it has TALK_DETECT."""

    type: Literal["ChannelTalkingStarted"]
    channel: Channel


class ChannelTalkingFinished(_Message):
    """The channel has been quiet for as long as TALK_DETECT was told.

    Its `duration` is not read: some releases report a negative one.
    """

    type: Literal["ChannelTalkingFinished"]
    channel: Channel


class ChannelHold(_Message):
    """The far end put us on hold."""

    type: Literal["ChannelHold"]
    channel: Channel


class ChannelUnhold(_Message):
    """The far end took us back."""

    type: Literal["ChannelUnhold"]
    channel: Channel


class Referrer(_Message):
    """Whose REFER it was."""

    source_channel: Channel


class ChannelTransfer(_Message):
    """A phone whose PJSIP_TRANSFER_HANDLING is `ari-only` asks for a transfer.

    Attributes:
        state: Empty for the REFER itself; else how far it is.
    """

    type: Literal["ChannelTransfer"]
    referred_by: Referrer
    state: str | None = None

    @property
    def channel(self) -> Channel:
        """The phone's."""
        return self.referred_by.source_channel


class ApplicationReplaced(_Message):
    """Another socket took our application over: this one is deaf from now on."""

    type: Literal["ApplicationReplaced"]
    application: str = ""


AriEvent: TypeAlias = (
    StasisStart
    | StasisEnd
    | ChannelStateChange
    | Dial
    | ChannelHangupRequest
    | ChannelDestroyed
    | ChannelToneDetected
    | ChannelDtmfReceived
    | ChannelTalkingStarted
    | ChannelTalkingFinished
    | ChannelHold
    | ChannelUnhold
    | ChannelTransfer
    | ApplicationReplaced
)

_EVENT: TypeAdapter[AriEvent] = TypeAdapter(Annotated[AriEvent, Field(discriminator="type")])


class AriGarbage(ValueError):
    """A frame on the event socket that is not an ARI event. Readers drop and count it."""


def decode_event(text: str | bytes) -> AriEvent | None:
    """Read one frame of the event socket; None for an event that we do not use.

    Raises:
        AriGarbage: If it is not JSON, or an event we know lacks a field we need.
    """
    try:
        return _EVENT.validate_json(text)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "union_tag_invalid":
            return None
        raise AriGarbage("not an ARI event") from None
