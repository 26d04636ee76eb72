"""What a call needs of the rest of the world, as the protocols of those who use it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from sovereign_ari.control.rooms import Rooms
from sovereign_ari.conversation.terms import Providers, Transfers
from sovereign_ari.conversation.tools import NoTools, ToolBox
from sovereign_ari.domain.adoption import FoundCall, NotAdopted
from sovereign_ari.domain.agent import Assistant, Route
from sovereign_ari.domain.assistant_request import Resolution
from sovereign_ari.domain.control import CommandOutcome, TakenCommand
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.outbound import PlacedCall
from sovereign_ari.domain.records import JournalEntry
from sovereign_ari.domain.transfer import TransferLine
from sovereign_ari.domain.webhook import Subject
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.pacer import Pacer
from sovereign_ari.wire.rtp_socket import RtpSocket

Note: TypeAlias = Callable[[str, Mapping[str, Any]], None]
"""Puts something on the timeline of a call: a kind, and facts."""


class Journal(Protocol):
    """Keeps what happens. Posting never waits."""

    def post(self, entry: JournalEntry) -> None:
        """Write this entry behind those posted before."""


class Directory(Protocol):
    """Knows who answers which number."""

    async def find_route(self, dialled: str, trunk: str = "") -> Route:
        """Look a number up.

        Args:
            dialled: A number, or an extension.
            trunk: What the call came by, as the dialplan says; empty for callers without a trunk.

        Raises:
            DatabaseUnavailable: If the database does not answer in time.
        """


class ProviderSource(Protocol):
    """Makes the providers of an assistant."""

    def for_assistant(self, assistant: Assistant, wire: AudioFormat, note: Note) -> Providers:
        """Choose them by the assistant's configuration; one that cannot work fails when used.

        Args:
            assistant: Who speaks.
            wire: Format of the call's RTP.
            note: Told of retries and fall-backs.
        """


class CallTools(ToolBox, Protocol):
    """The tools of one call, and what they hold open."""

    async def open(self) -> None:
        """Connect to what they need. Before the caller is answered.

        Raises:
            OutgoingFailed: If the call cannot be taken without what does not answer.
        """

    async def close(self) -> None:
        """Let go of everything. Raises nothing."""


class ToolSource(Protocol):
    """Makes the tools of calls."""

    def for_call(
        self, subject: Subject, assistant: Assistant, note: Note, transfers: Transfers
    ) -> CallTools:
        """Read the tools of an assistant for one call."""


class _NoCallTools(NoTools):
    async def open(self) -> None:
        """Need nothing."""

    async def close(self) -> None:
        """Hold nothing."""


class NoToolSource:
    """For controllers whose calls have no tools but hanging up."""

    def for_call(
        self, subject: Subject, assistant: Assistant, note: Note, transfers: Transfers
    ) -> CallTools:
        """Read nothing."""
        return _NoCallTools()


class AssistantRequests(Protocol):
    """Asks integrators who takes a call."""

    async def ask(self, route: Route, subject: Subject) -> Resolution:
        """Ask `route.asks` once. Whatever it answers, the call has somebody if its number has.

        Raises:
            DatabaseUnavailable: If the number has nobody, and who was named cannot be read.
        """


class NobodyAsked:
    """For controllers that ask nobody."""

    async def ask(self, route: Route, subject: Subject) -> Resolution:
        """Leave everything as it is."""
        return Resolution(route, {"outcome": "default"})


class TransferLines(Protocol):
    """Knows what calls to a number may be transferred over."""

    async def find(self, route: Route, destination: str) -> TransferLine:
        """Look it up.

        Raises:
            DatabaseUnavailable: If the database does not answer in time.
        """


class NoTransferLines:
    """For controllers without a database."""

    async def find(self, route: Route, destination: str) -> TransferLine:
        """Find a number without a trunk."""
        return TransferLine(None)


class TransferPlaces(Protocol):
    """Counts the second legs of calls, which are outgoing calls of their organisation too.

    All raise `DatabaseUnavailable` if the database does not answer in time.
    """

    async def take(self, organisation_id: str, call: CallId) -> None:
        """Count the second leg of a call.

        Raises:
            Unreachable: If the organisation may have no more.
        """

    async def give_back(self, call: CallId) -> None:
        """Count it no more."""

    async def keep(self, calls: Collection[CallId]) -> None:
        """Say which calls have second legs in the PBX: no others count for long."""


class NoTransferPlaces:
    """For controllers without a database."""

    async def take(self, organisation_id: str, call: CallId) -> None:
        """Count nothing."""

    async def give_back(self, call: CallId) -> None:
        """Count nothing."""

    async def keep(self, calls: Collection[CallId]) -> None:
        """Count nothing."""


class CommandBox(Protocol):
    """Commands of clients to the calls of this controller."""

    async def take(self) -> Sequence[TakenCommand]:
        """Wait for commands and take them, in their order.

        Raises:
            DatabaseUnavailable: If none can be heard of for now.
        """

    async def answer(self, outcomes: Mapping[int, CommandOutcome]) -> None:
        """Say what became of commands, by their ids.

        Raises:
            DatabaseUnavailable: If it cannot be said.
        """


class RequestBox(Protocol):
    """Calls that clients ask this or another controller to place."""

    async def take(self, room: Callable[[], int]) -> Sequence[PlacedCall]:
        """Wait for some and take them, no more at once than `room` tells.

        Raises:
            DatabaseUnavailable: If none can be heard of for now.
        """


class Adoptions(Protocol):
    """Takes over the records of calls whose controller died."""

    async def adopt(self, call: CallId) -> FoundCall | NotAdopted:
        """Make a call ours, unless it is over or its controller lives. Only one can.

        Raises:
            DatabaseUnavailable: If the database does not answer in time.
        """

    async def transferred(self, call: CallId) -> None:
        """Close an open call whose caller has been joined with somebody else.

        Raises:
            DatabaseUnavailable: If the database does not answer in time.
        """


class NoAdoptions:
    """For controllers without a database."""

    async def adopt(self, call: CallId) -> FoundCall | NotAdopted:
        """Know no call."""
        return NotAdopted.NEVER

    async def transferred(self, call: CallId) -> None:
        """Know no call."""


@dataclass(frozen=True, slots=True)
class CallServices:
    """Everything that live calls share.

    Attributes:
        app: Our Stasis application.
        ari: Requests to Asterisk.
        rtp: Takes all audio.
        pacer: Sends all audio, from that socket.
        journal: Keeps the record.
        directory: Finds the assistant.
        providers: Makes its providers.
        clock: Monotonic seconds.
        wall_clock: Aware UTC.
        entropy: 80 random bits, for ids.
        tools: Makes their tools.
        rooms: What is heard behind their assistants.
        requests: Asks integrators about them.
        transfer_lines: Knows what they may be transferred over.
        transfer_places: Counts their second legs.
        transfer_headers: What whoever takes a call over is told in headers: `call-id`, `summary`.
        ring_s: How long those that we place may ring.
        country: In which the trunks are; None when national numbers are not known.
        adoptions: Takes over those of controllers that died.
    """

    app: str
    ari: AriHttp
    rtp: RtpSocket
    pacer: Pacer
    journal: Journal
    directory: Directory
    providers: ProviderSource
    clock: Callable[[], float]
    wall_clock: Callable[[], datetime]
    entropy: Callable[[], int]
    tools: ToolSource = field(default_factory=NoToolSource)
    rooms: Rooms = field(default_factory=Rooms)
    requests: AssistantRequests = field(default_factory=NobodyAsked)
    transfer_lines: TransferLines = field(default_factory=NoTransferLines)
    transfer_places: TransferPlaces = field(default_factory=NoTransferPlaces)
    transfer_headers: frozenset[str] = frozenset()
    ring_s: float = 45.0
    country: str | None = None
    adoptions: Adoptions = field(default_factory=NoAdoptions)
