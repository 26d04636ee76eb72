"""What clients send and see of a SIP trunk, under the keys of every generation of clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.config import JsonDict, JsonValue

from api.bodies import Body, refusal, without_defaults
from api.kinds import E164
from api.resources.trunk_accounts import Username
from api.resources.trunk_addresses import (
    Transport,
    TrunkAddress,
    default_port,
    parse_address,
    parse_host,
    parse_source,
)
from db.sip_trunks import TrunkRecord

MOST_ADDRESSES = 16
_PLAIN = r"^[^\x00-\x1f\x7f]*$"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"({_LABEL}\.){{1,3}}[A-Za-z]{{2,24}}"
_PORT = r"[1-9][0-9]{0,3}"
_ADDRESS_SCHEMA = {
    "type": "string",
    "maxLength": 255,
    "pattern": rf"^([Ss][Ii][Pp]:)?{_HOST}(:{_PORT})?$",
    "description": "A host, `host:port` or SIP URI; IPv4 and IPv6 (in brackets) addresses too.",
}
_HOST_SCHEMA = {"type": "string", "maxLength": 255, "pattern": rf"^{_HOST}$"}
_MANY = {"type": "array", "items": _ADDRESS_SCHEMA, "minItems": 1, "maxItems": MOST_ADDRESSES}


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("is not a text or a list of texts")
    return value


Addresses = Annotated[
    list[str],
    BeforeValidator(_listed),
    Field(min_length=1, max_length=MOST_ADDRESSES),
    WithJsonSchema({"anyOf": [_ADDRESS_SCHEMA, _MANY]}),
]
AddressList = Annotated[
    list[str], Field(min_length=1, max_length=MOST_ADDRESSES), WithJsonSchema(_MANY)
]
Host = Annotated[str, WithJsonSchema(_HOST_SCHEMA)]
Source = Annotated[str, AfterValidator(parse_source), WithJsonSchema(_HOST_SCHEMA)]


def _plain(text: str) -> str:
    if any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise ValueError("holds a line break or a control character")
    return text


Plain = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    AfterValidator(_plain),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255, "pattern": _PLAIN}),
]
_EXAMPLE = {
    "name": "Main carrier",
    "provider": "voipgrid",
    "address": "sip.example.com:5061",
    "transport": "tls",
    "auth_username": "bakery",
    "auth_password": "correct horse battery staple",
    "inbound_addresses": ["in.example.com"],
    "outbound_number": "+31201234567",
}


class _Common(Body):
    aliases: ClassVar[Mapping[str, str]] = {
        "username": "auth_username",
        "password": "auth_password",
    }

    provider: Plain | None = None
    address: Addresses = Field(default=[], description="A list gives the order of fail-over.")
    outbound_address: Addresses = Field(default=[], description="Another name of `address`.")
    addresses: AddressList = Field(default=[], description="In the order of fail-over.")
    host: Host = Field(default="", description="With `port`, another way to write `address`.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=5060, description="5060 when absent, 5061 for TLS."
    )
    transport: Transport = "udp"
    auth_username: Username | None = Field(default=None, description="`username` does too.")
    auth_password: Plain | None = Field(
        default=None, description="Never shown again; `password` does too."
    )
    inbound_addresses: Annotated[list[Source], Field(max_length=64)] | None = Field(
        default=None, description="Where calls come from: hosts, addresses or networks."
    )
    outbound_number: E164 | None = Field(
        default=None, description="The number that calls are for which name only our account."
    )
    register_: bool | None = Field(
        default=None,
        alias="register",
        description="Whether the PBX registers there. By default it does when there are"
        " `auth_username` and `auth_password`, but no `inbound_addresses`.",
    )
    inbound_auth: bool = Field(
        default=False,
        description="Whether callers must prove `auth_username` and `auth_password`. Then they may"
        " come from anywhere, or from `inbound_addresses` only.",
    )
    media_encryption: Literal["none", "sdes"] | None = Field(
        default=None,
        description="`sdes` is SRTP with keys in the SDP. By default that with TLS, else none.",
    )
    is_active: bool = True


_SPELLINGS = ("address", "outbound_address", "addresses", "host", "port")  # that must agree


def _one_spelling(name: str, *more: str) -> JsonValue:
    others: JsonDict = {other: False for other in _SPELLINGS if other not in (name, *more)}
    return {"properties": others, "required": [name]}


_ONE: list[JsonValue] = [
    *(_one_spelling(name) for name in _SPELLINGS[:3]),
    _one_spelling("host", "port"),
]
_NO_PLACE: JsonDict = {}
_NO_PLACE.update(dict.fromkeys(_SPELLINGS, False))
_NONE: JsonValue = {"properties": _NO_PLACE}


def _with_an_address(schema: JsonDict) -> None:
    without_defaults(schema)
    schema["oneOf"] = _ONE


def _with_or_without(schema: JsonDict) -> None:
    without_defaults(schema)
    schema["oneOf"] = [*_ONE, _NONE]


class CreateTrunk(_Common):
    """A new trunk: a name, and an address in one of its spellings."""

    model_config = ConfigDict(json_schema_extra=_with_an_address)
    example: ClassVar[Mapping[str, Any]] = _EXAMPLE

    name: Plain


class UpdateTrunk(_Common):
    """Changes of a trunk: only what is named; null clears."""

    model_config = ConfigDict(json_schema_extra=_with_or_without)
    example: ClassVar[Mapping[str, Any]] = {"address": ["sip1.example.com", "sip2.example.com"]}

    name: Plain = ""


def read_trunk(body: CreateTrunk | UpdateTrunk, stored: TrunkRecord | None) -> dict[str, Any]:
    """Give the columns that a body sets, the password in the clear.

    Args:
        body: What was sent.
        stored: What it changes, None for a new trunk.

    Raises:
        InvalidRequest: For addresses that cannot be, or that contradict each other.
    """
    values = body.given()
    if "inbound_addresses" in values:
        values["inbound_addresses"] = values["inbound_addresses"] or []
    return _without_spellings(values) | _Addresses(body).columns(stored)


def _without_spellings(values: dict[str, Any]) -> dict[str, Any]:
    places = ("address", "outbound_address", "addresses", "host", "port", "transport")
    return {name: value for name, value in values.items() if name not in places}


def _contradiction(field: str, other: str) -> str:
    return f"{field}: {field} and {other} have different values"


class _Addresses:
    """What the several spellings of a trunk's address say together."""

    def __init__(self, body: _Common) -> None:
        self._given = body.model_fields_set
        self._port = body.port if "port" in self._given else None
        self._transport: str | None = body.transport if "transport" in self._given else None
        self._lines: list[str] = []
        self._found: dict[str, list[TrunkAddress]] = {}
        for field in ("address", "outbound_address", "addresses", "host"):
            if field in self._given:
                value = getattr(body, field)
                self._read(field, [value] if isinstance(value, str) else value)
        if self._lines:
            raise refusal(self._lines)

    def columns(self, stored: TrunkRecord | None) -> dict[str, Any]:
        """Give `addresses` and `transport` as far as they were named."""
        columns: dict[str, Any] = {}
        if (transport := self._one_transport()) is not None:
            columns["transport"] = transport
        addresses = self._one_list(transport or (stored.transport if stored else "udp"))
        if addresses is None and stored is None:
            raise refusal(["address: is required"])
        if addresses is None:
            addresses = self._moved(stored) if stored and self._port is not None else None
        elif stored is not None and self._found.keys() == {"host"} and addresses[0].port is None:
            port = parse_address(stored.addresses[0]).port  # of its own: it was not named
            addresses = [TrunkAddress(addresses[0].host, port)]
        if addresses is not None:
            columns["addresses"] = [str(address) for address in addresses]
        return columns

    def _read(self, field: str, texts: list[str]) -> None:
        found = []
        for index, text in enumerate(texts):
            try:
                bare = field == "host" and text.count(":") > 1 and "[" not in text
                found.append(
                    TrunkAddress(parse_host(f"[{text}]")) if bare else parse_address(text)
                )
            except ValueError as error:
                where = f"{field}[{index}]" if len(texts) > 1 or field == "addresses" else field
                self._lines.append(f"{where}: {error}")
        self._found[field] = found

    def _one_transport(self) -> str | None:
        named = {
            address.transport: field
            for field, addresses in self._found.items()
            for address in addresses
            if address.transport is not None
        }
        if self._transport is not None and (others := named.keys() - {self._transport}):
            raise refusal([_contradiction("transport", named[others.pop()])])
        if len(named) > 1:
            raise refusal([f"{next(iter(named.values()))}: names different transports"])
        return self._transport or next(iter(named), None)

    def _one_list(self, transport: str) -> list[TrunkAddress] | None:
        """Give the longest list; the others must say the same, or name its first address."""
        if not self._found:
            return None
        chosen = max(self._found, key=lambda field: len(self._found[field]))
        longest = [self._with_port(chosen, address) for address in self._found[chosen]]
        usual = default_port(transport)
        places = [(address.host, address.port or usual) for address in longest]
        for field, addresses in self._found.items():
            others = [self._with_port(field, address) for address in addresses]
            said = [(address.host, address.port or usual) for address in others]
            if said not in (places, places[:1]):
                raise refusal([_contradiction(chosen, field)])
        if self._port is not None and places[0][1] != self._port:
            raise refusal([_contradiction("port", chosen)])
        return longest

    def _with_port(self, field: str, address: TrunkAddress) -> TrunkAddress:
        return TrunkAddress(address.host, address.port or self._port, address.transport)

    def _moved(self, stored: TrunkRecord) -> list[TrunkAddress]:
        if len(stored.addresses) > 1:
            raise refusal(["port: the trunk has several addresses; give address with it"])
        return [TrunkAddress(parse_address(stored.addresses[0]).host, self._port)]
