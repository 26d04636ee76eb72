"""What the PBX must hold for the SIP trunks of all organisations, as plain data.

One endpoint and one AOR for each address, one auth and one registration for the trunk. Who calls
is found out by the `line` of a registration, by credentials, or by address. Addresses that overlap
are one source: when it belongs to several trunks, its calls come over an endpoint that they share,
and the number that was dialled decides whose call it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from sovereign_ari.domain.trunk import PREFIX, anyway_of, endpoint_of
from sovereign_ari.domain.trunk_sources import Network, in_order, sources_of

Kind = Literal["auth", "aor", "endpoint", "identify", "registration"]

ORDER: Final[tuple[Kind, ...]] = ("auth", "aor", "endpoint", "identify", "registration")
"""In which objects are made, each after those that it names; they are removed in reverse."""

SHARED_PREFIX = "carrier-"
RESERVED_USERNAMES = frozenset({"local", "softphone", "trunk", "anonymous", "ours"})
"""Endpoints of pjsip.conf, whose names no account may take."""

CONTACT_USER = "account"
"""By which a carrier calls us back where we are registered; an extension of the dialplan."""

QUALIFY_S = 30
_DOMAIN = re.compile(r"[A-Za-z0-9.-]{1,253}")
_SAFE = re.compile(r"[A-Za-z0-9_.!~*()+-]")
_ENDPOINT = (
    ("context", "from-trunk"),
    ("allow", "!all,slin12,ulaw,alaw,g722"),
    ("incoming_call_offer_pref", "remote_first"),
    ("outgoing_call_offer_pref", "remote"),  # all of the codecs that the dialler names
    ("direct_media", "no"),
    ("rtp_symmetric", "yes"),
    ("force_rport", "yes"),
    ("dtmf_mode", "auto_info"),
    ("allow_transfer", "no"),
    ("allow_subscribe", "no"),
    ("rtp_timeout", "60"),
    ("rtp_timeout_hold", "600"),
    ("send_pai", "yes"),
    ("trust_id_inbound", "yes"),
    ("trust_id_outbound", "yes"),  # a withheld number, with the wish that it stays so
    ("language", "en"),
)
"""Like the template [ours] of pjsip.conf; a test compares them."""


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a trunk: a name or an IP address, IPv6 in brackets, and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Trunk:
    """A trunk as it is to work.

    Attributes:
        places: In the order of fail-over.
        transport: `udp`, `tcp` or `tls`.
        registers: Whether we register there, with `username` and `password`.
        inbound_auth: Whether its callers must know `username` and `password`.
        encrypted: Whether its audio is SRTP with keys in the SDP (RFC 4568).
        number: For calls that name only our account: the number that was meant.
        sources: Networks its calls come from, names resolved.
    """

    id: str
    places: tuple[Place, ...]
    transport: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registers: bool = False
    inbound_auth: bool = False
    encrypted: bool = False
    number: str | None = None
    sources: frozenset[Network] = frozenset()

    @property
    def name(self) -> str:
        """Of its auth, identify and registration."""
        return f"{PREFIX}{self.id}"


@dataclass(frozen=True, slots=True)
class PbxObject:
    """One configuration object of the PBX; a field may stand in it several times.

    Attributes:
        slot: What stays the same while it changes.
    """

    kind: Kind
    slot: str
    fields: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def digest(self) -> str:
        """Of all fields."""
        return hashlib.sha256(repr(self.fields).encode()).hexdigest()

    @property
    def id(self) -> str:
        """Its name in the PBX."""
        return id_of(self.kind, self.slot, self.digest)

    @property
    def key(self) -> tuple[Kind, str]:
        """What tells it from all others."""
        return self.kind, self.id


def id_of(kind: Kind, slot: str, digest: str) -> str:
    """Name an object: an identify after what it says, so that a new one is made beside the old.

    Its list of addresses cannot be changed, and without one a carrier's calls would be refused.
    """
    return f"{slot}-{digest[:8]}" if kind == "identify" else slot


@dataclass(frozen=True, slots=True)
class Layout:
    """All objects in the order of making, and which trunks share which endpoint."""

    objects: tuple[PbxObject, ...]
    shared: Mapping[str, str]


def lay_out(trunks: Sequence[Trunk], registrars: Mapping[str, int]) -> Layout:
    """Say what the PBX must hold.

    Args:
        trunks: Those that are active.
        registrars: For trunks that register: at which of their addresses, from 1; the first one
            when it is not said.
    """
    sources, shared = _sources(trunks)
    objects = list(sources)
    for trunk in trunks:
        objects += _own(trunk, registrars.get(trunk.id, 1))
    objects.sort(key=lambda thing: ORDER.index(thing.kind))
    return Layout(tuple(objects), shared)


def registrar_of(reachable: Sequence[bool | None]) -> int:
    """Choose the address to register at: the first that answers, else the first.

    Args:
        reachable: Of each address in the order of fail-over; None while it is not known.
    """
    first = next((place for place, there in enumerate(reachable, 1) if there is not False), 1)
    return first if reachable and reachable[first - 1] is not False else 1


def relatives(endpoint: str) -> list[tuple[Kind, str]]:
    """Name every object that may belong to an endpoint of a trunk that is gone, by its slot."""
    name, _, place = endpoint.rpartition("-")
    own: list[tuple[Kind, str]] = [
        ("endpoint", endpoint),
        ("aor", endpoint),
        ("aor", anyway_of(endpoint)),
    ]
    if endpoint.startswith(SHARED_PREFIX):
        return [("identify", endpoint), ("endpoint", endpoint)]
    if place != "1":
        return own
    return [("registration", name), ("identify", name), *own, ("auth", name)]


def _own(trunk: Trunk, registrar: int) -> list[PbxObject]:
    objects: list[PbxObject] = []
    if _has_account(trunk):
        assert trunk.username is not None
        assert trunk.password is not None
        account = (("auth_type", "digest"), ("username", trunk.username))
        objects.append(PbxObject("auth", trunk.name, (*account, ("password", trunk.password))))
    for place, at in enumerate(trunk.places, 1):
        objects += _leading_to(trunk, endpoint_of(trunk.id, place), at)
    if trunk.registers and _has_account(trunk):
        at = trunk.places[min(registrar, len(trunk.places)) - 1]
        objects.append(_registration(trunk, at))
    if trunk.inbound_auth and _has_account(trunk):
        objects.append(_callers_account(trunk))
    return objects


def _has_account(trunk: Trunk) -> bool:
    return trunk.username is not None and trunk.password is not None


def _leading_to(trunk: Trunk, name: str, at: Place) -> list[PbxObject]:
    """The endpoint of one address, and the AORs that say where it is.

    The PBX calls no contact that leaves its OPTIONS unanswered; one that it does not ask, it does.
    """
    contact = ("contact", _uri(trunk.transport, at))
    qualified = (contact, ("qualify_frequency", str(QUALIFY_S)), ("qualify_timeout", "3.0"))
    fields = (
        *_ENDPOINT,
        ("rewrite_contact", "no"),
        ("identify_by", "ip"),
        ("transport", trunk.transport),
        ("aors", name),
        ("outbound_auth", trunk.name if _has_account(trunk) else ""),
        ("from_domain", at.host if trunk.registers else ""),
        *_encryption(trunk.encrypted),
        *_told(trunk),
    )
    return [
        PbxObject("aor", name, qualified),
        PbxObject("aor", anyway_of(name), (contact,)),
        PbxObject("endpoint", name, fields),
    ]


def _told(trunk: Trunk) -> list[tuple[str, str]]:
    """What the dialplan reads of a channel: whose call it is, and the number when it names none.

    Not by `set_var`: the PBX changes no endpoint that has one.
    """
    return [("accountcode", trunk.id), ("tenantid", trunk.number or "")]


def _encryption(encrypted: bool, *, optional: bool = False) -> list[tuple[str, str]]:
    return [
        ("media_encryption", "sdes" if encrypted else "no"),
        ("media_encryption_optimistic", "yes" if encrypted and optional else "no"),
    ]


def _registration(trunk: Trunk, at: Place) -> PbxObject:
    assert trunk.username is not None
    user, _, domain = trunk.username.rpartition("@")
    if not user or not _DOMAIN.fullmatch(domain):
        user, domain = trunk.username, at.host
    user = "".join(_escaped(character) for character in user)
    fields = (
        ("server_uri", _uri(trunk.transport, at)),
        ("client_uri", f"sip:{user}@{domain}"),
        ("contact_user", CONTACT_USER),
        ("outbound_auth", trunk.name),
        ("transport", trunk.transport),
        ("expiration", "300"),
        ("retry_interval", "30"),
        ("forbidden_retry_interval", "300"),
        ("fatal_retry_interval", "300"),
        ("max_retries", "10000"),
        ("auth_rejection_permanent", "no"),
        ("max_random_initial_delay", "1"),
        ("line", "yes"),
        ("endpoint", endpoint_of(trunk.id, 1)),
    )
    return PbxObject("registration", trunk.name, fields)


def _callers_account(trunk: Trunk) -> PbxObject:
    """Who calls with the credentials of the trunk; the PBX looks it up by the user's name."""
    assert trunk.username is not None
    fields = [
        *_ENDPOINT,
        ("rewrite_contact", "yes"),
        ("identify_by", "auth_username"),
        ("auth", trunk.name),
        *_encryption(trunk.encrypted),
        *_told(trunk),
    ]
    if trunk.sources:
        fields += [("deny", "0.0.0.0/0.0.0.0"), ("deny", "::/0")]
        fields += [("permit", str(network)) for network in in_order(trunk.sources)]
    return PbxObject("endpoint", trunk.username, tuple(fields))


def _sources(trunks: Sequence[Trunk]) -> tuple[list[PbxObject], dict[str, str]]:
    """Say which addresses lead to which endpoint, and who shares one."""
    objects: list[PbxObject] = []
    shared: dict[str, str] = {}
    by_id = {trunk.id: trunk for trunk in trunks}
    networks = {trunk.id: trunk.sources for trunk in trunks if not trunk.inbound_auth}
    for source in sources_of(networks):
        if len(source.owners) == 1:
            owner = by_id[source.owners[0]]
            endpoint, name = endpoint_of(owner.id, 1), owner.name
        else:
            endpoint = name = SHARED_PREFIX + source.fingerprint
            objects.append(_shared_endpoint(name, [by_id[owner] for owner in source.owners]))
            shared.update((owner, name) for owner in source.owners)
        matches = (("match", str(network)) for network in source.networks)
        fields = (("endpoint", endpoint), ("srv_lookups", "no"), *matches)
        objects.append(PbxObject("identify", name, fields))
    return objects, shared


def _shared_endpoint(name: str, members: Collection[Trunk]) -> PbxObject:
    encrypted = any(member.encrypted for member in members)
    optional = not all(member.encrypted for member in members)
    fields = (
        *_ENDPOINT,
        ("rewrite_contact", "no"),
        ("identify_by", "ip"),
        *_encryption(encrypted, optional=optional),
        ("accountcode", name),
    )
    return PbxObject("endpoint", name, fields)


def _uri(transport: str, at: Place) -> str:
    parameter = "" if transport == "udp" else f";transport={transport}"
    return f"sip:{at.host}:{at.port}{parameter}"


def _escaped(character: str) -> str:
    if _SAFE.fullmatch(character):
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode())
