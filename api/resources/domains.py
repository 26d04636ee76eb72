"""`/domains`: the domain that an organisation sends mail from, at Resend, with its own key.

Resend comes first and our row second, so a failure there changes nothing here. When our row
cannot be written, a domain just made is taken back; a deletion is asked for again and then finds
nothing left to delete.
"""

from __future__ import annotations

import logging

import asyncpg

from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.domain_bodies import (
    CreateDomain,
    DomainView,
    OwnDomainView,
    SelectDomain,
    SelectedView,
    TheirDomainsView,
    TheirDomainView,
)
from db import domains as table
from db.byok import open_key, sealed_keys
from sovereign_ari.errors import Conflict, Impossible, NotFound
from sovereign_ari.outgoing.resend import RemoteDomain, Resend

PROVIDER = "resend"

domains = Endpoints("Domains")
logger = logging.getLogger("api")


async def _account(asked: Asked, connection: asyncpg.Connection) -> Resend:
    """The organisation's account at Resend.

    Raises:
        Impossible: If it stored no key.
    """
    sealed = (await sealed_keys(connection, asked.organisation_id)).get(PROVIDER)
    if sealed is None:
        raise Impossible(
            'domains need a key of Resend; store one with POST /byok, "provider": "resend"',
            code="byok_key_missing",
            param=PROVIDER,
        )
    key = open_key(asked.parts.vault, asked.organisation_id, PROVIDER, sealed)
    return Resend(asked.parts.http, asked.parts.resend_url, key)


async def _own(asked: Asked) -> tuple[table.DomainRecord, Resend]:
    async with asked.tenant() as connection:
        record = await table.get_domain(connection, asked.organisation_id)
        return record, await _account(asked, connection)


@domains.add("GET", "/domains", "Read the domain of the organisation")
async def show_domain(asked: Asked) -> OwnDomainView:
    """As it was stored last; `/domains/refresh` asks Resend."""
    record = await table.find_domain(asked.connection, asked.organisation_id)
    return OwnDomainView.showing(None, domain=None if record is None else DomainView.of(record))


@domains.add(
    "POST", "/domains", "Add a domain", envelope="domain", status=201, also=(409, 422),
    detached=True,
)  # fmt: skip
async def create_domain(asked: Asked, body: CreateDomain) -> DomainView:
    """At Resend, with the organisation's own key. An organisation has one."""
    async with asked.tenant() as connection:
        await _require_none(asked, connection)
        account = await _account(asked, connection)
    try:
        made = await account.create(body.domain_name, body.region)
    except Impossible:
        async with asked.tenant() as connection:
            await _require_none(asked, connection)  # another request may have added it just now
        raise
    stored = False
    try:
        async with asked.tenant() as connection:
            record = await table.add_domain(connection, asked.organisation_id, made)
        stored = True
    finally:
        if not stored:
            await _take_back(account, made)
    return DomainView.of(record)


async def _require_none(asked: Asked, connection: asyncpg.Connection) -> None:
    known = await table.find_domain(connection, asked.organisation_id)
    if known is not None:
        raise Conflict(f"the organisation has the domain {known.domain_name}; delete it first")


async def _take_back(account: Resend, made: RemoteDomain) -> None:
    """Delete what Resend made and we could not store."""
    try:
        await account.delete(made.id)
    except Impossible as error:
        logger.warning(
            "a domain stays at Resend, where it can be deleted or selected: %s",
            error,
            extra={"resend_domain_id": made.id},
        )


@domains.add("DELETE", "/domains", "Delete the domain", also=(404, 422), detached=True)
async def delete_domain(asked: Asked) -> Deleted:
    """At Resend too; it may be gone there already."""
    record, account = await _own(asked)
    if record.resend_domain_id is not None:
        await account.delete(record.resend_domain_id)
    async with asked.tenant() as connection:
        await table.forget_domain(connection, asked.organisation_id, record.id)
    return Deleted()


@domains.add(
    "POST", "/domains/verify", "Have the DNS of the domain looked at", envelope="domain",
    also=(404, 422), detached=True,
)  # fmt: skip
async def verify_domain(asked: Asked) -> DomainView:
    """Resend takes a while: the status is `pending` until `/domains/refresh` says otherwise."""
    record, account = await _own(asked)
    return await _store(asked, await account.verify(_id_of(record)))


@domains.add(
    "POST", "/domains/refresh", "Read the domain anew from Resend", envelope="domain",
    also=(404, 422), detached=True,
)  # fmt: skip
async def refresh_domain(asked: Asked) -> DomainView:
    """Its status and its records."""
    record, account = await _own(asked)
    return await _store(asked, await account.get(_id_of(record)))


def _id_of(record: table.DomainRecord) -> str:
    if record.resend_domain_id is None:
        raise NotFound(f"Resend has no domain {record.domain_name}")
    return record.resend_domain_id


async def _store(asked: Asked, told: RemoteDomain) -> DomainView:
    async with asked.tenant() as connection:
        return DomainView.of(await table.refresh_domain(connection, asked.organisation_id, told))


@domains.add(
    "GET", "/domains/sync", "List the domains of the account at Resend", also=(422,),
    detached=True,
)  # fmt: skip
async def list_their_domains(asked: Asked) -> TheirDomainsView:
    """All of them, and which one is the organisation's."""
    async with asked.tenant() as connection:
        own = await table.find_domain(connection, asked.organisation_id)
        account = await _account(asked, connection)
    found = await account.list()
    return TheirDomainsView.showing(
        None,
        domains=[TheirDomainView.showing(one) for one in found],
        selected_domain_id=None if own is None else own.resend_domain_id,
    )


@domains.add(
    "POST", "/domains/sync", "Select one of the domains at Resend", also=(404, 422),
    detached=True,
)  # fmt: skip
async def select_domain(asked: Asked, body: SelectDomain) -> SelectedView:
    """In the place of the organisation's own, which stays at Resend."""
    async with asked.tenant() as connection:
        account = await _account(asked, connection)
    told = await account.get(body.resend_domain_id)
    async with asked.tenant() as connection:
        record = await table.select_domain(connection, asked.organisation_id, told)
    return SelectedView.showing(
        None, domain=DomainView.of(record), message="Domain synced successfully from Resend"
    )
