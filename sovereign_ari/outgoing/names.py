"""Looks names up without holding up the event loop or anybody else's threads."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host; raises OSError when there are none."""

# Threads of our own: a name server that does not answer must not stop other work in threads.
_THREADS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="look-up")


async def look_up(host: str, port: int, *, threads: ThreadPoolExecutor = _THREADS) -> list[str]:
    """Ask the system for the addresses of a host, the preferred first.

    Being cancelled leaves its thread waiting for the system's own time-out.

    Raises:
        OSError: If there are none.
    """
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.get_running_loop().run_in_executor(threads, ask)
    except UnicodeError as error:  # a label that the system cannot encode
        raise socket.gaierror(socket.EAI_NONAME, "no such name") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
