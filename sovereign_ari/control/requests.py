"""Several requests to Asterisk at once, and requests that clean up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from sovereign_ari.errors import SovereignError

CLEAN_UP_PAUSES_S = (0.1, 0.5)

log = logging.getLogger(__name__)


async def all_done(*requests: Coroutine[None, None, Any]) -> list[Any]:
    """Make requests at once; when one fails, raise only after each has done what it will do.

    Otherwise the clean-up that follows would overtake a request that is still under way.
    """
    results = await asyncio.gather(*requests, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


async def regardless(request: Callable[[], Coroutine[None, None, None]]) -> None:
    """Do what can be done: while a call ends, a refused clean-up must not stop the others.

    What cannot be removed now is a left-over that the controller finds later.
    """
    for pause_s in (*CLEAN_UP_PAUSES_S, None):
        try:
            await request()
        except SovereignError as error:
            if pause_s is None:
                log.warning("could not clean up: %s", error)
                return
            await asyncio.sleep(pause_s)
        else:
            return
