"""What a controller exports of itself that is read rather than counted."""

from __future__ import annotations

import asyncio

from sovereign_ari.control.controller import Controller
from sovereign_ari.control.journal import JournalWriter
from sovereign_ari.control.ports import CallServices
from sovereign_ari.metrics import ControllerMetrics
from sovereign_ari.wire.ari_events import AriEvents


def watch_controller(
    metrics: ControllerMetrics,
    controller: Controller,
    writer: JournalWriter,
    services: CallServices,
    events: AriEvents,
) -> None:
    """Export what is read rather than counted."""
    pacer, rtp = services.pacer, services.rtp
    metrics.watch("sovereign_calls_live", "Calls in progress.", lambda: len(controller.calls))
    metrics.watch("sovereign_journal_waiting", "Entries to be written.", lambda: len(writer))
    metrics.watch("sovereign_journal_lost", "Entries that were dropped.", lambda: writer.lost)
    metrics.watch("sovereign_pacer_lines", "Calls on the pacer.", lambda: pacer.lines)
    metrics.watch("sovereign_pacer_late_ticks", "Ticks over 5 ms late.", lambda: pacer.late_ticks)
    metrics.watch(
        "sovereign_pacer_send_errors", "Packets refused by the system.", lambda: pacer.send_errors
    )
    metrics.watch("sovereign_rtp_far_ends", "Calls whose audio we take.", lambda: rtp.far_ends)
    metrics.watch("sovereign_rtp_strangers", "Packets of no call.", lambda: rtp.strangers)
    metrics.watch("sovereign_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))
    metrics.watch(
        "sovereign_ari_garbage",
        "Frames on the event socket that are no events.",
        lambda: events.garbage,
    )
    metrics.watch(
        "sovereign_ari_connected", "Whether the event socket is open.", lambda: events.is_open
    )
