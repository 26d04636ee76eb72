"""The manager interface against a server that answers well, badly, and not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from sovereign_ari.errors import AsteriskRefused, AsteriskUnavailable, AsteriskUnknown
from sovereign_ari.wire import ami
from sovereign_ari.wire.ami import Ami, AmiAddress

LET_IN = b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n"
LIST = (
    b"Response: Success\r\nEventList: start\r\n\r\n"
    b"Event: One\r\nName: a: b\r\n\r\n\r\n"
    b"Event: Two\r\n\r\n"
    b"Event: Done\r\nEventList: Complete\r\n\r\n"
)


@asynccontextmanager
async def manager(*answers: Sequence[bytes]) -> AsyncIterator[Ami]:
    """A client of a server that answers each connection's actions; then it hangs up.

    Args:
        answers: Of each connection, the login's first.
    """
    connections = iter(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager\r\n")
        for answer in next(connections):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        client = Ami(AmiAddress(host, port, "sovereign", "secret"))
        try:
            yield client
        finally:
            await client.close()


async def test_a_list_is_its_entries() -> None:
    async with manager((LET_IN, LIST, LIST)) as client:
        entries = [{"Event": "One", "Name": "a: b"}, {"Event": "Two"}]
        assert await client.ask("Things") == entries
        assert await client.ask("Things") == entries


async def test_nothing_found_is_an_empty_list_and_a_refusal_is_none() -> None:
    empty = b"Response: Error\r\nMessage: No Contacts found\r\n\r\n"
    refused = b"Response: Error\r\nMessage: Permission denied\r\n\r\n"
    async with manager((LET_IN, empty, refused)) as client:
        assert await client.ask("Things") == []
        with pytest.raises(AsteriskRefused, match="Permission denied"):
            await client.ask("Things")


@pytest.mark.parametrize(
    "answer",
    [b"", b"Response: Succ", b"Response: " + b"x" * (ami.LONGEST_LINE_BYTES + 2) + b"\r\n\r\n"],
)
async def test_after_an_answer_that_is_none_the_next_question_is_asked_anew(answer: bytes) -> None:
    async with manager((LET_IN, answer), (LET_IN, LIST)) as client:
        with pytest.raises(AsteriskUnknown):
            await client.ask("Things")
        assert len(await client.ask("Things")) == 2


async def test_who_is_not_let_in_or_finds_nobody_is_told_so() -> None:
    wrong = b"Response: Error\r\nMessage: Authentication failed\r\n\r\n"
    async with manager((wrong,)) as client:
        with pytest.raises(AsteriskRefused, match="Authentication failed"):
            await client.ask("Things")
    with pytest.raises(AsteriskUnavailable):
        await client.ask("Things")
