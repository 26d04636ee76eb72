"""Two ways to read a streamed chat completion: python -m tests.bench.chat_clients

Ours, over the shared aiohttp session, and the vendor's own client. Each runs in a process of its
own against a vendor in another, which answers at once with a reply of 24 words; connections are
warm. Prints a table and writes `results/chat_clients.json`.

*First token*: from asking to the first piece of text, one reply after the other, and of 20 that
are asked for together. *CPU*: of the client's process, for a whole reply. *Import* and *memory*:
beyond aiohttp, which the product needs anyway.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import aiohttp
import numpy as np
import uvloop

from tests.bench.machine import describe, usage
from tests.support.fake_openai import fake_openai

REPOSITORY = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
REPLY = "We are open from nine to five on weekdays, and from ten to four on Saturdays. " + (
    "Shall I make an appointment for you?"
)
MODEL = "gpt-5.4"
PROMPT = "You are the reception of a dentist. Be brief. " * 20
QUESTION = "When are you open?"
WARM_UP = 30
ALONE = 300
TOGETHER = 20
BURSTS = 20

Ask: TypeAlias = Callable[[], AsyncIterator[str]]


@dataclass(frozen=True)
class Row:
    """One client."""

    client: str
    first_token_p50_ms: float
    first_token_p95_ms: float
    together_p50_ms: float
    together_p95_ms: float
    cpu_per_reply_ms: float
    import_ms: float
    memory_mib: float


TITLES = {
    "client": "client",
    "first_token_p50_ms": "first token, p50, ms",
    "first_token_p95_ms": "first token, p95, ms",
    "together_p50_ms": f"first token of {TOGETHER} at once, p50, ms",
    "together_p95_ms": f"first token of {TOGETHER} at once, p95, ms",
    "cpu_per_reply_ms": "CPU per reply, ms",
    "import_ms": "import beyond aiohttp, ms",
    "memory_mib": "memory beyond aiohttp, after all replies, MiB",
}


async def ours(base_url: str, stack: AsyncExitStack) -> Ask:
    from sovereign_ari.speech.base import Message, Token
    from sovereign_ari.speech.endpoint import Endpoint
    from sovereign_ari.speech.openai_llm import ChatOptions, OpenAILanguageModel

    connector = aiohttp.TCPConnector(limit=1000, keepalive_timeout=120.0)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
    model = OpenAILanguageModel(session, Endpoint(base_url, "k"), ChatOptions(MODEL, 0.7))
    messages = [Message("system", PROMPT), Message("user", QUESTION)]

    async def ask() -> AsyncIterator[str]:
        async for part in model.reply(messages, []):
            if isinstance(part, Token):
                yield part.text

    return ask


async def vendors(base_url: str, stack: AsyncExitStack) -> Ask:
    import httpx2
    import openai

    limits = httpx2.Limits(
        max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=120.0
    )
    http = openai.DefaultAsyncHttpxClient(limits=limits)
    client = await stack.enter_async_context(
        openai.AsyncOpenAI(api_key="k", base_url=base_url, max_retries=0, http_client=http)
    )

    async def ask() -> AsyncIterator[str]:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=[
                {"role": "system", "content": PROMPT},
                {"role": "user", "content": QUESTION},
            ],
            stream=True,
            stream_options={"include_usage": True},
            reasoning_effort="none",
            temperature=0.7,
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content

    return ask


CLIENTS = {"ours, on aiohttp": ours, "openai": vendors}


async def first_token_ms(ask: Ask) -> float:
    """Read a whole reply; returns how long its first piece took."""
    begun_s, text, first_s = time.perf_counter(), "", 0.0
    async with aclosing(ask()) as reply:  # type: ignore[type-var]
        async for piece in reply:
            first_s = first_s or time.perf_counter() - begun_s
            text += piece
    assert text == REPLY, text
    return first_s * 1000


async def measure(client: str, base_url: str) -> Row:
    """Measure one client in this process."""
    bare_bytes = usage(os.getpid()).resident_bytes
    begun_s = time.perf_counter()
    async with AsyncExitStack() as stack:
        ask = await CLIENTS[client](base_url, stack)
        import_s = time.perf_counter() - begun_s
        for _ in range(WARM_UP):
            await first_token_ms(ask)
        await asyncio.gather(*(first_token_ms(ask) for _ in range(TOGETHER)))
        cpu_s = time.process_time()
        alone = [await first_token_ms(ask) for _ in range(ALONE)]
        cpu_s = time.process_time() - cpu_s
        together: list[float] = []
        for _ in range(BURSTS):
            together += await asyncio.gather(*(first_token_ms(ask) for _ in range(TOGETHER)))
        grown_bytes = usage(os.getpid()).resident_bytes - bare_bytes
    return Row(
        client=client,
        first_token_p50_ms=round(float(np.percentile(alone, 50)), 2),
        first_token_p95_ms=round(float(np.percentile(alone, 95)), 2),
        together_p50_ms=round(float(np.percentile(together, 50)), 1),
        together_p95_ms=round(float(np.percentile(together, 95)), 1),
        cpu_per_reply_ms=round(cpu_s / ALONE * 1000, 2),
        import_ms=round(import_s * 1000),
        memory_mib=round(grown_bytes / 2**20, 1),
    )


async def serve() -> None:
    """Be the vendor until standard input closes; the address is printed first."""
    async with fake_openai() as vendor:
        vendor.reply = lambda _messages, _tools: REPLY
        print(vendor.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def this_bench(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run this file in another process, in another part."""
    command = ("-W", "ignore", "-m", "tests.bench.chat_clients", *arguments)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def compare() -> list[Row]:
    """Start the vendor and measure one client after the other."""
    rows = []
    async with this_bench("vendor") as vendor:
        assert vendor.stdout is not None
        base_url = (await vendor.stdout.readline()).decode().strip()
        for name in CLIENTS:
            async with this_bench("client", name, base_url) as client:
                assert client.stdout is not None
                rows.append(Row(**json.loads(await client.stdout.read())))
    return rows


def main() -> None:
    """Compare, or play the part that the command line names."""
    match sys.argv[1:]:
        case ["vendor"]:
            uvloop.run(serve())
        case ["client", name, base_url]:
            print(json.dumps(asdict(uvloop.run(measure(name, base_url)))))
        case _:
            report(asyncio.run(compare()))


def report(rows: list[Row]) -> None:
    """Print the table and write the document."""
    machine = describe()
    print(f"\nChat clients, on {machine}\n")
    width = max(len(title) for title in TITLES.values())
    for name, title in TITLES.items():
        print(f"{title:<{width}}" + "".join(f"{getattr(row, name)!s:>18}" for row in rows))
    RESULTS.mkdir(exist_ok=True)
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (RESULTS / "chat_clients.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
