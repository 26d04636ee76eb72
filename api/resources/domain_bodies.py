"""What clients send and see of a domain that mail is sent from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from api.bodies import Body
from api.kinds import Timestamp, Uuid
from api.views import View
from db.domains import DomainRecord
from sovereign_ari.outgoing.domain_names import LONGEST, PATTERN, ascii_domain

_RESEND_ID = "d91cd9bd-1176-453e-8fc1-35364d380206"
DomainName = Annotated[
    str,
    StringConstraints(max_length=LONGEST),
    AfterValidator(ascii_domain),
    WithJsonSchema({"type": "string", "maxLength": LONGEST, "pattern": PATTERN}),
]
ResendId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class CreateDomain(Body):
    """A domain to send from."""

    aliases: ClassVar[Mapping[str, str]] = {"domain": "domain_name"}
    example: ClassVar[Mapping[str, Any]] = {
        "domain_name": "mail.example.com",
        "region": "eu-west-1",
    }

    domain_name: DomainName = Field(
        description="In ASCII; other alphabets are converted. `domain` is accepted too."
    )
    region: Literal["us-east-1", "eu-west-1", "sa-east-1", "ap-northeast-1"] = Field(
        default="eu-west-1", description="Where mail is sent from."
    )


class SelectDomain(Body):
    """One of the domains that the account at Resend has."""

    aliases: ClassVar[Mapping[str, str]] = {
        "resend_domain_id": "resendDomainId",
        "domain_id": "resendDomainId",
    }
    example: ClassVar[Mapping[str, Any]] = {"resendDomainId": _RESEND_ID}

    resend_domain_id: ResendId = Field(
        alias="resendDomainId",
        description="Its id at Resend; `resend_domain_id` and `domain_id` are accepted too.",
    )


_RECORD: dict[str, Any] = {
    "record": "SPF",
    "name": "send.mail",
    "type": "MX",
    "ttl": "Auto",
    "status": "not_started",
    "value": "feedback-smtp.eu-west-1.amazonses.com",
    "priority": 10,
}
_DOMAIN: dict[str, Any] = {
    "id": "3e9a7b52-0c41-4f7d-a6b8-5d2c1e0f9a83",
    "org_id": "7b0d3c1e-5a52-4c8e-9d0e-2f6a1b3c4d5e",
    "domain_name": "mail.example.com",
    "resend_domain_id": _RESEND_ID,
    "status": "not_started",
    "region": "eu-west-1",
    "records": [_RECORD],
    "created_at": "2026-03-17T09:30:00.000Z",
    "updated_at": "2026-03-17T09:30:00.000Z",
    "verified_at": None,
}


class DnsRecordView(View):
    """What the DNS of the domain must say."""

    example: ClassVar[Mapping[str, Any]] = _RECORD

    record: str | None
    name: str | None
    type: str | None
    ttl: str | None
    status: str | None
    value: str | None
    priority: int | None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Show one as it was stored."""
        shown = cls.model_construct(**{name: record.get(name) for name in cls.model_fields})
        return cast("Self", shown)


class DomainView(View):
    """A domain, as Resend described it last. `verified_at` is when it was first seen verified."""

    example: ClassVar[Mapping[str, Any]] = _DOMAIN

    id: Uuid
    org_id: Uuid
    domain_name: str
    resend_domain_id: str | None
    status: str
    region: str | None
    records: list[DnsRecordView] | None
    created_at: Timestamp
    updated_at: Timestamp
    verified_at: Timestamp | None

    @classmethod
    def of(cls, record: DomainRecord) -> Self:
        """Show a row."""
        records = record.records
        return cls.showing(
            record,
            org_id=record.organisation_id,
            records=None if records is None else [DnsRecordView.of(one) for one in records],
        )


class OwnDomainView(View):
    """The domain of the organisation, null when it has none."""

    example: ClassVar[Mapping[str, Any]] = {"domain": _DOMAIN}

    domain: DomainView | None


class TheirDomainView(View):
    """One of the domains that the account at Resend has."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": _RESEND_ID,
        "name": "mail.example.com",
        "status": "verified",
        "region": "eu-west-1",
    }

    id: str
    name: str
    status: str
    region: str | None


class TheirDomainsView(View):
    """What there is to select; `selected_domain_id` is Resend's id of the organisation's own."""

    example: ClassVar[Mapping[str, Any]] = {
        "domains": [TheirDomainView.example],
        "selected_domain_id": _RESEND_ID,
    }

    domains: list[TheirDomainView]
    selected_domain_id: str | None


class SelectedView(View):
    """The domain that was selected."""

    example: ClassVar[Mapping[str, Any]] = {
        "domain": _DOMAIN,
        "message": "Domain synced successfully from Resend",
    }

    domain: DomainView
    message: str
