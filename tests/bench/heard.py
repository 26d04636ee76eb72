"""Whether what callers heard is what we say they heard: 200 interruptions, and hang-ups.

Ten calls at once, over three codecs, half of them with rules of pronunciation and a room behind
the voice. Every word is counted in the caller's own recording, whatever its length, and compared
with the messages of the call. Prints the distributions, writes `results/heard.json`.
`python -m tests.bench.heard [CALLS [INTERRUPTIONS [SEED]]]`
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.bench.machine import describe
from tests.support.fake_openai import fake_openai
from tests.support.interruptions import (
    SPEECH_CONFIG,
    Plan,
    Telling,
    all_at_once,
    greeting,
    kept_messages,
    model,
    tell_stories,
)
from tests.support.platform import Json, running_platform
from tests.support.reception import Reception, open_reception

RESULTS = Path(__file__).parent / "results"
CALLS = 10
INTERRUPTIONS = 20
CODECS = ("ulaw", "alaw", "g722")


async def plans(reception: Reception, calls: int, interruptions: int) -> list[Plan]:
    """Make an assistant and a number for each call."""
    made = []
    for place in range(calls):
        name = chr(ord("a") + place)
        ruled = place % 2 == 1
        config = SPEECH_CONFIG if ruled else {"turn_taking": SPEECH_CONFIG["turn_taking"]}
        number = await reception.number(
            first_message=greeting(name),
            llm_config=model(name),
            speech_config=config,
        )
        made.append(Plan(name, number, CODECS[place % len(CODECS)], interruptions, ruled))
    return made


async def measure(calls: int, interruptions: int, seed: int) -> list[tuple[Telling, str]]:
    """Make the calls; each story, with what the call's messages say of it."""
    async with fake_openai() as vendor:
        env = {"OPENAI_API_KEY": "a-key-of-the-bench", "OPENAI_BASE_URL": vendor.base_url}
        vendor.chat.apart = frozenset({"gpt-5.4-mini"})
        async with running_platform(env) as platform:
            async with open_reception(platform, vendor) as reception:
                tell_stories(vendor)
                made = await plans(reception, calls, interruptions)
                tellings = await all_at_once(reception.phone, made, seed)
                records: dict[str, Json] = {
                    plan.number: await reception.record(plan.number) for plan in made
                }
    return [
        (telling, kept_messages(records[telling.plan.number]["messages"], telling))
        for telling in tellings
    ]


def distribution(found: Sequence[tuple[Telling, str]]) -> dict[str, int]:
    """Count how many words the messages lack (+) or have too many (-)."""
    counted = Counter(telling.error(kept) for telling, kept in found)
    return {f"{error:+d}": counted[error] for error in sorted(counted)}


def main() -> int:
    """Measure, print, and fail when any was off by more than a word."""
    given = [int(argument) for argument in sys.argv[1:]]
    calls, interruptions, seed = [*given, *(CALLS, INTERRUPTIONS, 1)[len(given) :]]
    machine = f"{describe()}, load {os.getloadavg()[0]:.1f} before"
    found = asyncio.run(measure(calls, interruptions, seed))
    print(f"\nWords heard less words in the messages, on {machine}\n")
    rows = {}
    for name, hung_up in (("interruptions", False), ("hang-ups in the middle", True)):
        of_it = [one for one in found if one[0].hung_up is hung_up]
        rows[name] = distribution(of_it)
        print(f"{name:<24}{len(of_it):>5}   {rows[name]}")
    strictly = sum(telling.worst(kept) > 1 for telling, kept in found)
    print(f"off by more than one, whichever way the word that was cut is counted: {strictly}")
    far = [(telling, kept) for telling, kept in found if abs(telling.error(kept)) > 1]
    for telling, kept in far:
        print(f"  {telling}\n  kept: {kept}", file=sys.stderr)
    RESULTS.mkdir(exist_ok=True)
    document = {"machine": machine, "rows": rows, "off_by_more": len(far), "strictly": strictly}
    (RESULTS / "heard.json").write_text(json.dumps(document, indent=1) + "\n")
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
