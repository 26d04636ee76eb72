"""Requests no telephone would write: every part as the test likes, and what is answered."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.sip_endpoint import Address, SipEndpoint
from tests.support.sip_messages import SipMessage, parameter, request, uri_of
from tests.support.sip_session import audio_offer

SILENT_PORT = 9  # discard: nobody listens to what is sent there
ANSWERED_WITHIN_S = 4.0


@dataclass(frozen=True, slots=True)
class Oddity:
    """What is wrong with an INVITE; what is not said is as it should be.

    Attributes:
        uri: Of the request; `{number}` and `{server}` are filled in.
        caller: The From header without its tag.
        headers: Further headers.
        body: Instead of an ordinary offer.
        content_type: Of the body.
        forwards: Max-Forwards.
        vias: Further Via headers below ours.
    """

    uri: str = "sip:{number}@{server}"
    caller: str = '"Test Caller" <sip:tester@127.0.0.1>'
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/sdp"
    forwards: str = "70"
    vias: tuple[str, ...] = ()


def odd_invite(local: Address, server: Address, number: str, odd: Oddity) -> SipMessage:
    """Write an INVITE with its oddity."""
    host, port = local
    uri = odd.uri.replace("{number}", number).replace("{server}", f"{server[0]}:{server[1]}")
    body = audio_offer(host, SILENT_PORT, ("ulaw",), 1) if odd.body is None else odd.body
    via = f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)};rport"
    headers = [
        *(("Via", value) for value in (via, *odd.vias)),
        ("Max-Forwards", odd.forwards),
        ("From", f"{odd.caller};tag={secrets.token_hex(4)}"),
        ("To", f"<sip:{number}@{server[0]}>"),
        ("Call-ID", f"{secrets.token_hex(8)}@{host}"),
        ("CSeq", "1 INVITE"),
        ("Contact", f"<sip:tester@{host}:{port}>"),
        *((("Content-Type", odd.content_type),) if body else ()),
        *odd.headers,
    ]
    return request("INVITE", uri, headers, body)


async def answer_to(
    endpoint: SipEndpoint, server: Address, message: SipMessage, copies: int = 1
) -> int | None:
    """Send an INVITE, so often; hang up if it is answered.

    Returns:
        Its final status; None when nothing came but provisional answers, or nothing at all.
    """
    asked = endpoint.start(message, server)
    for _ in range(copies - 1):
        endpoint.send(message, server)
    try:
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            answer = await asked.final()
    except TimeoutError:
        asked.stop()
        return None
    if answer is not None and (answer.status or 0) < 300:
        asked.acknowledge(_later(message, answer, "ACK", 1), server)
        await endpoint.start(_later(message, answer, "BYE", 2), server).final()
    endpoint.forget(message.header("Call-ID"))
    return None if answer is None else answer.status


async def answers_to(
    endpoint: SipEndpoint, server: Address, number: str, odds: Sequence[Oddity]
) -> list[int | None]:
    """Send all of them at once, and tell what each was answered."""
    messages = [odd_invite(endpoint.address, server, number, odd) for odd in odds]
    return list(await asyncio.gather(*(answer_to(endpoint, server, one) for one in messages)))


def _later(invite: SipMessage, answer: SipMessage, method: str, number: int) -> SipMessage:
    via = invite.headers_named("Via")[0]
    branch = parameter(via, "branch") or ""
    headers = [
        ("Via", via.replace(branch, f"z9hG4bK{secrets.token_hex(8)}")),
        ("Max-Forwards", "70"),
        ("From", invite.header("From")),
        ("To", answer.header("To")),
        ("Call-ID", invite.header("Call-ID")),
        ("CSeq", f"{number} {method}"),
    ]
    return request(method, uri_of(answer.header("Contact")), headers)
