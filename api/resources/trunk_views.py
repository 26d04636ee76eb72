"""What clients see of a SIP trunk, and how it fares on the nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import Field

from api.kinds import Timestamp, Uuid
from api.resources.trunk_addresses import default_port, parse_address
from api.views import View
from db.sip_trunks import TrunkRecord
from db.trunk_states import SeenTrunk

_WORST_FIRST = ("rejected", "unregistered", "unknown", "trying", "registered", "none")


class AddressStateView(View):
    """Whether an address answers OPTIONS; null while it is not known."""

    example: ClassVar[Mapping[str, Any]] = {
        "address": "sip.example.com:5061",
        "reachable": True,
        "latency_ms": 12.4,
    }

    address: str
    reachable: bool | None
    latency_ms: float | None


class NodeStateView(View):
    """How a trunk fares on one machine."""

    example: ClassVar[Mapping[str, Any]] = {
        "node": "local",
        "registration": "registered",
        "calls": 2,
        "addresses": [AddressStateView.example],
        "seen_at": "2026-03-17T09:30:00.000Z",
    }

    node: str
    registration: str
    calls: int
    addresses: list[AddressStateView]
    seen_at: Timestamp


class TrunkStateView(View):
    """How a trunk fares: the worst registration of all machines, `unknown` when none has looked.

    `registration` is `none` (it does not register), `trying`, `registered`, `rejected` (the
    carrier refuses it), `unregistered` (nobody answers) or `unknown`. `reachable` says whether an
    address answers OPTIONS, `latency_ms` how fast the quickest does. `last_error` stays when all
    is well again.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "registration": "registered",
        "reachable": True,
        "latency_ms": 12.4,
        "calls": 2,
        "last_error": None,
        "last_error_at": None,
        "nodes": [NodeStateView.example],
    }

    registration: str
    reachable: bool | None
    latency_ms: float | None
    calls: int
    last_error: str | None
    last_error_at: Timestamp | None
    nodes: list[NodeStateView]

    @classmethod
    def of(cls, seen: Sequence[SeenTrunk]) -> TrunkStateView:
        """Sum up what the nodes wrote; those that have not looked lately count as unknown."""
        fresh = [one for one in seen if one.fresh]
        answers = [at for one in fresh for at in one.addresses if at["reachable"] is not None]
        latencies = [at["latency_ms"] for at in answers if at["reachable"] and at["latency_ms"]]
        error = max((one for one in seen if one.error_at), key=_error_at, default=None)
        return TrunkStateView.model_construct(
            registration=min(
                (one.registration for one in fresh), key=_WORST_FIRST.index, default="unknown"
            ),
            reachable=any(at["reachable"] for at in answers) if answers else None,
            latency_ms=min(latencies, default=None),
            calls=sum(one.calls for one in fresh),
            last_error=error.error if error else None,
            last_error_at=error.error_at if error else None,
            nodes=[_node(one) for one in fresh],
        )


def _error_at(seen: SeenTrunk) -> float:
    return seen.error_at.timestamp() if seen.error_at else 0.0


def _node(seen: SeenTrunk) -> NodeStateView:
    addresses = [AddressStateView.model_construct(**at) for at in seen.addresses]
    return NodeStateView.showing(seen, addresses=addresses)


class TrunkView(View):
    """A trunk without its password, under the keys of every generation of clients."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10",
        "org_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "name": "Main carrier",
        "provider": "voipgrid",
        "address": "sip.example.com:5061",
        "outbound_address": "sip.example.com:5061",
        "addresses": ["sip.example.com:5061"],
        "host": "sip.example.com",
        "port": 5061,
        "transport": "tls",
        "auth_username": "bakery",
        "username": "bakery",
        "inbound_addresses": ["in.example.com"],
        "outbound_number": "+31201234567",
        "register": None,
        "inbound_auth": False,
        "media_encryption": None,
        "is_active": True,
        "created_at": "2026-03-17T09:30:00.000Z",
        "updated_at": "2026-03-17T09:30:00.000Z",
        "state": TrunkStateView.example,
    }

    id: Uuid
    org_id: Uuid
    name: str
    provider: str | None
    address: str
    outbound_address: str
    addresses: list[str]
    host: str
    port: int
    transport: str
    auth_username: str | None
    username: str | None
    inbound_addresses: list[str]
    outbound_number: str | None
    register_: bool | None = Field(alias="register")
    inbound_auth: bool
    media_encryption: str | None
    is_active: bool
    created_at: Timestamp
    updated_at: Timestamp
    state: TrunkStateView

    @classmethod
    def of(cls, record: TrunkRecord, seen: Sequence[SeenTrunk] = ()) -> Self:
        """Show a row, `addresses` with the port of each, and how it fares."""
        hosts = [parse_address(address) for address in record.addresses]
        ports = [host.port or default_port(record.transport) for host in hosts]
        return cls.showing(
            record,
            org_id=record.organisation_id,
            address=record.addresses[0],
            outbound_address=record.addresses[0],
            addresses=[f"{at.host}:{port}" for at, port in zip(hosts, ports, strict=True)],
            host=hosts[0].host,
            port=ports[0],
            username=record.auth_username,
            register_=record.register,
            state=TrunkStateView.of(seen),
        )
