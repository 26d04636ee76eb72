"""The work after a call: a summary, structured data, and the report of both.

Every step may be the last that this worker does: another goes on where it stopped. A step that was
written is not done again.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import asyncpg

from db import reports as table
from db.byok import Opens, open_key, sealed_keys
from db.listening import FAULTS
from db.reports import CallContent, Outcome, Step, TakenReport
from sovereign_ari.domain.agent import Config
from sovereign_ari.domain.catalogue import Catalogue
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderError, VaultClosed
from sovereign_ari.work import prompts
from sovereign_ari.work.queue import Queue
from sovereign_ari.work.usage import Counting, Reply, Spent
from sovereign_ari.work.wording import duration_s, messages_of, voicemail_summary

MOST_TRIES = 3
FIRST_DELAY_S = 2.0
LONGEST_DELAY_S = 30.0
TAKEN_FOR_S = 90.0
"""Two replies of a model, and reading and writing what belongs to them."""

AT_ONCE = 16
AT_ONCE_OF_ONE = 8
DRAINS_WITHIN_S = 8.0  # as for webhooks

logger = logging.getLogger("work.reports")


class Thinks(Protocol):
    """Asks language models for whole replies."""

    async def answer(
        self, llm: Config, messages: Sequence[Mapping[str, str]], keys: Mapping[str, str | None]
    ) -> Reply:
        """Ask once, within 30 s.

        Raises:
            ProviderError: If there is no reply.
        """


@dataclass(frozen=True, slots=True)
class Result:
    """What a step came to; `note` is for the timeline and holds no content."""

    outcome: Outcome
    value: Any = None
    note: Mapping[str, Any] | None = None


def back_off_s(tries: int) -> float:
    """Seconds to wait after so many tries: up to 2 s, 8 s and so on, at least half of it."""
    longest_s = min(FIRST_DELAY_S * 4.0 ** (tries - 1), LONGEST_DELAY_S)
    return random.uniform(longest_s / 2, longest_s)


class Reports:
    """The jobs of a `Queue`.

    Args:
        pool: Of the database.
        models: Thinks about calls.
        catalogue: Says which model does.
        vault: Opens the organisation's own keys.
        counting: Counts what calls used.
        back_off: Seconds to wait after so many tries of a step.
        taken_for_s: When another worker may take over what this one has not finished.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        models: Thinks,
        catalogue: Catalogue,
        vault: Opens,
        counting: Counting | None = None,
        *,
        back_off: Callable[[int], float] = back_off_s,
        taken_for_s: float = TAKEN_FOR_S,
    ) -> None:
        self._pool = pool
        self._models = models
        self._catalogue = catalogue
        self._vault = vault
        self._counting = counting or Counting()
        self._back_off = back_off
        self._taken_for_s = taken_for_s

    async def take(
        self, connection: asyncpg.Connection, most: int, without: Sequence[str]
    ) -> Sequence[TakenReport]:
        """See `Jobs`."""
        return await table.take(connection, most=most, lasts_s=self._taken_for_s, without=without)

    async def next_due_s(
        self, connection: asyncpg.Connection, without: Sequence[str]
    ) -> float | None:
        """See `Jobs`."""
        return await table.next_due_s(connection, without)

    async def do(self, job: TakenReport) -> None:
        """Do what is left for a call."""
        try:
            async with self._pool.acquire() as connection:
                if not await self._counting.count(connection, job):
                    return
            if await self._step(job, "summary", self._summarise):
                job = replace(job, tries=job.tries if job.summary else 1)
                if await self._step(job, "analysis", self._analyse):
                    async with self._pool.acquire() as connection:
                        await table.finish(connection, job)
        except FAULTS as error:
            logger.warning(
                "a report waits for the database: %s",
                type(error).__name__,
                extra={"call_id": job.call_id},
            )

    async def _step(
        self,
        job: TakenReport,
        step: Step,
        make: Callable[[TakenReport, CallContent, Spent], Awaitable[Result]],
    ) -> bool:
        """Do a step unless it is done; True when the next may be done."""
        if getattr(job, step) is not None:
            return True
        spent = Spent()
        if job.tries > MOST_TRIES:
            gone = "the workers were gone before they finished"
            result = Result("failed", note={"code": "error", "message": gone})
        else:
            async with self._pool.acquire() as connection:
                content = await table.read_content(connection, job)
            if content is None:
                return False
            try:
                result = await make(job, content, spent)
            except ProviderError as error:
                if error.retryable and job.tries < MOST_TRIES:
                    await self._wait(job, error, spent)
                    return False
                result = Result("failed", note={"code": error.code, "message": str(error)})
        if result.outcome == "failed":
            logger.warning("no %s: %s", step, result.note, extra={"call_id": job.call_id})
        async with self._pool.acquire() as connection:
            used = await self._counting.charge(connection, job.organisation_id, spent.used)
            return await table.record(
                connection,
                job,
                step,
                result.outcome,
                value=result.value,
                note=result.note,
                used=used,
                at=datetime.now(UTC),
                lasts_s=self._taken_for_s,
            )

    async def _wait(self, job: TakenReport, error: ProviderError, spent: Spent) -> None:
        delay_s = max(self._back_off(job.tries), min(error.retry_after_s or 0, LONGEST_DELAY_S))
        async with self._pool.acquire() as connection:
            used = await self._counting.charge(connection, job.organisation_id, spent.used)
            await table.postpone(connection, job, delay_s, used)

    async def _summarise(self, job: TakenReport, content: CallContent, spent: Spent) -> Result:
        if content.end_reason == EndReason.VOICEMAIL:  # there is nothing to think about
            said = messages_of(content.said)
            return Result("written", voicemail_summary(said, job.assistant))
        if _is_idle(job, content):
            return Result("skipped")
        llm = self._llm(job)
        if llm["provider"] == "parrot":
            llm["script"] = list(prompts.PARROT_SCRIPT)
        transcript = prompts.transcript_of(messages_of(content.said))
        reply = await self._ask(job, llm, prompts.summary_request(transcript), spent)
        return Result("written", reply.text, spent.note())

    async def _analyse(self, job: TakenReport, content: CallContent, spent: Spent) -> Result:
        analysis = job.assistant.get("analysis_plan") or {}
        plan = analysis.get("structured_data_plan") or {}
        messages = messages_of(content.said)
        least = analysis.get("min_messages_threshold", 2)
        if not plan.get("enabled") or _is_idle(job, content) or len(messages) < least:
            return Result("skipped")
        schema, llm = plan.get("schema") or {}, self._llm(job)
        asked = prompts.analysis_request(plan, _values(content, schema))
        reply = await self._ask(job, llm, asked, spent)
        try:
            return Result("written", prompts.read_answer(reply.text, schema), spent.note())
        except prompts.Unfit as fault:
            asked = prompts.repair_request(asked, reply.text, str(fault))
        reply = await self._ask(job, llm, asked, spent)
        try:
            value = prompts.read_answer(reply.text, schema)
            return Result("written", value, spent.note(repaired=True))
        except prompts.Unfit as fault:
            message = f"the model's answer cannot be used: {fault}"
            return Result("failed", note=spent.note(code="unfit_answer", message=message))

    def _llm(self, job: TakenReport) -> dict[str, Any]:
        return self._catalogue.postcall_block(
            job.assistant["llm_config"], job.assistant.get("postcall_llm")
        )

    async def _ask(
        self,
        job: TakenReport,
        llm: Config,
        messages: Sequence[Mapping[str, str]],
        spent: Spent,
    ) -> Reply:
        async with self._pool.acquire() as connection:
            sealed = await sealed_keys(connection, job.organisation_id)
        keys = {name: self._opened(job, name, value) for name, value in sealed.items()}
        reply = await self._models.answer(llm, messages, keys)
        spent.add(reply)
        return reply

    def _opened(self, job: TakenReport, provider: str, sealed: bytes) -> str | None:
        try:
            return open_key(self._vault, job.organisation_id, provider, sealed)
        except VaultClosed:
            return None  # the registry says so, if that key is needed


def reports_queue(
    pool: asyncpg.Pool, models: Thinks, catalogue: Catalogue, vault: Opens, counting: Counting
) -> Queue[TakenReport]:
    """The queue of a worker."""
    return Queue(
        pool,
        Reports(pool, models, catalogue, vault, counting),
        most=AT_ONCE,
        most_of_one=AT_ONCE_OF_ONE,
        drains_within_s=DRAINS_WITHIN_S,
    )


def _is_idle(job: TakenReport, content: CallContent) -> bool:
    """Whether there is nothing to think about, or nobody to think for."""
    turned_away = content.end_reason == EndReason.REJECTED
    if content.answered_at is None or turned_away or not messages_of(content.said):
        return True
    return bool(job.assistant.get("gdpr_mode")) and not job.wanted


def _values(content: CallContent, schema: Mapping[str, Any]) -> dict[str, str]:
    """The values of placeholders."""
    return {
        "schema": json.dumps(schema, ensure_ascii=False),
        "transcript": prompts.transcript_of(messages_of(content.said)),
        "ended_reason": content.end_reason,
        "end_reason": content.end_reason,
        "summary": content.summary or "",
        "duration": str(duration_s(content.answered_at, content.ended_at)),
        "caller_number": content.person or "unknown",
    }
