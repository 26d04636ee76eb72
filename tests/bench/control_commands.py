"""From the request of a command to a live call until it is in effect, on the product as shipped.

In effect is: of `inject-context` the model's request, of `say` the synthesiser's, of `transfer`
the INVITE at the other telephone, of `end-call` the BYE at the caller's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from statistics import median, quantiles

from tests.support.fake_openai import FakeOpenAI, fake_openai
from tests.support.platform import Platform, running_platform
from tests.support.reception import Reception, hear_tones, open_reception
from tests.support.sip_call import Call
from tests.support.sip_human import Human

CALLS = 6
LOOK_S = 0.0005
SETTLE_S = 0.35


class Waits:
    """What was measured, by kind of command, in milliseconds."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[float]] = {}

    async def time(
        self, kind: str, ask: Callable[[], Coroutine[None, None, object]], done: Callable[[], bool]
    ) -> None:
        """Send a command and wait for its effect, whichever of effect and answer comes first."""
        begun_s = time.monotonic()
        asking = asyncio.create_task(ask())
        async with asyncio.timeout(5):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
        self.by_kind.setdefault(kind, []).append(1000 * (time.monotonic() - begun_s))
        await asking
        await asyncio.sleep(SETTLE_S)

    def print(self) -> None:
        """One line per kind."""
        for kind, found in self.by_kind.items():
            high = quantiles(found, n=20)[-1]
            print(f"{kind:15} {len(found):3}  p50 {median(found):5.1f} ms  p95 {high:5.1f} ms")


async def one_call(reception: Reception, human: Human, number: str, waits: Waits) -> None:
    """Send ten commands to one call: as many as it takes in a minute."""
    vendor = reception.vendor
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        path = f"/calls/{live['id']}/control"

        async def tell(**body: object) -> object:
            answer = await reception.api.request("POST", path, dict(body))
            assert answer.status == 200, answer
            return answer

        for _ in range(2):
            count = len(vendor.chat.bodies)
            await waits.time(
                "inject-context",
                lambda: tell(type="inject-context", content="x", trigger_response=True),
                lambda count=count: len(vendor.chat.bodies) > count,  # type: ignore[misc]
            )
        for _ in range(2):
            count = len(vendor.speech.texts)
            await waits.time(
                "say",
                lambda: tell(type="say", content="a", end_after=False),
                lambda count=count: len(vendor.speech.texts) > count,  # type: ignore[misc]
            )
        for _ in range(5):
            count = len(human.calls)
            await waits.time(
                "transfer",
                lambda: tell(type="transfer", destination=human.uri),
                lambda count=count: len(human.calls) > count,  # type: ignore[misc]
            )
        await end(call, tell, waits)


async def end(
    call: Call, tell: Callable[..., Coroutine[None, None, object]], waits: Waits
) -> None:
    """End the call."""
    await waits.time("end-call", lambda: tell(type="end-call"), lambda: not call.live)


async def measure(platform: Platform, vendor: FakeOpenAI) -> Waits:
    """Make the calls one after the other."""
    waits = Waits()
    vendor.reply = lambda _messages, _tools: "y"
    async with await Human.open("127.0.0.1") as human:
        human.refusal = (486, "Busy Here")
        for _ in range(CALLS):
            async with open_reception(platform, vendor) as reception:
                number = await reception.number()
                await one_call(reception, human, number, waits)
    return waits


async def main() -> None:
    """Run the bench."""
    async with fake_openai() as vendor:
        env = {
            "OPENAI_API_KEY": "a-key-of-the-bench",
            "OPENAI_BASE_URL": vendor.base_url,
            "SOVEREIGN_OUTGOING_ALLOW": "127.0.0.0/8",
        }
        async with running_platform(env) as platform:
            (await measure(platform, vendor)).print()


if __name__ == "__main__":
    asyncio.run(main())
