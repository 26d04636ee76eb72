"""The composition root: builds each process from the settings. The only module that knows all."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import asyncpg
from aiohttp import web

from db.commands import open_box
from db.journal import write_entries
from db.outbound_requests import open_requests
from db.pool import UNAVAILABLE, close_pool, create_pool
from sovereign_ari import __version__, garbage, log
from sovereign_ari.adoptions import PooledAdoptions
from sovereign_ari.apologies import Apologies, speak_apologies
from sovereign_ari.call_providers import CallProviders, OwnKeys
from sovereign_ari.call_request import IntegratorRequests, Rules
from sovereign_ari.call_tools import call_tools
from sovereign_ari.chat_model import RegistryChatModel
from sovereign_ari.control.commands import serve_commands
from sovereign_ari.control.controller import Controller
from sovereign_ari.control.journal import JournalWriter
from sovereign_ari.control.placing import serve_requests
from sovereign_ari.control.ports import CallServices
from sovereign_ari.control.rooms import Rooms
from sovereign_ari.controller_gauges import watch_controller
from sovereign_ari.conversation.tools import Patience
from sovereign_ari.directory import PooledDirectory
from sovereign_ari.domain.records import JournalEntry
from sovereign_ari.errors import Bug, DatabaseUnavailable, SettingsError
from sovereign_ari.heartbeat import beat
from sovereign_ari.masterkeys import opening_vault
from sovereign_ari.media import vad
from sovereign_ari.metrics import ControllerMetrics, measure_loop_lag
from sovereign_ari.node_trunks import node_trunks
from sovereign_ari.outgoing.http import OutgoingHttp, guarded_connector
from sovereign_ari.outgoing.key_checks import KeyChecks
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.precedence import come_first
from sovereign_ari.settings import Settings
from sovereign_ari.speech.openai_compatible import Outgoing
from sovereign_ari.speech.registry import Elsewhere, ProviderRegistry, load_catalogue
from sovereign_ari.speech.resilience.breaker import Breakers
from sovereign_ari.speech.resilience.hedging import Paces
from sovereign_ari.tools.source import CallToolSource
from sovereign_ari.transfer_places import pooled_transfers
from sovereign_ari.usability import Usability
from sovereign_ari.vault import Vault
from sovereign_ari.vault_rotation import open_vault
from sovereign_ari.wire.ari_events import AriEvents
from sovereign_ari.wire.ari_http import AriAddress, AriHttp
from sovereign_ari.wire.pacer import Pacer
from sovereign_ari.wire.rtp_socket import RtpSocket
from sovereign_ari.work.deliveries import deliveries_queue
from sovereign_ari.work.queue import Queue, all_of
from sovereign_ari.work.reports import reports_queue
from sovereign_ari.work.usage import Counting
from sovereign_ari.work.worker import work

if TYPE_CHECKING:
    from api.parts import Parts

JOURNAL_CLOSES_WITHIN_S = 5.0

_log = logging.getLogger(__name__)


def default_blocks(settings: Settings) -> dict[str, dict[str, object]]:
    """Choose the blocks of assistants that name none: OpenAI with a key, else offline."""
    catalogue = load_catalogue()
    return catalogue.default_blocks(
        openai=settings.openai_api_key is not None,
        stt=settings.default_stt,
        llm=settings.default_llm,
        tts=settings.default_tts,
    )


async def run_controller(settings: Settings) -> None:
    """Run a controller until SIGTERM or SIGINT, then drain its calls."""
    log.configure("controller", level=settings.log_level, style=settings.log_format)
    come_first()
    address = _ari_address(settings)
    stop = _stop_on_signals()
    metrics = ControllerMetrics()
    async with AsyncExitStack() as stack:
        pool = await _open_pool(stack, settings, "controller", max_size=8)
        registry = await stack.enter_async_context(_registry(settings))
        apologies, _ = await asyncio.gather(speak_apologies(registry), registry.warm_up())
        await asyncio.to_thread(vad.warm_up)
        ari = await stack.enter_async_context(AriHttp(address))
        rtp, pacer = _open_audio(stack, settings)
        writer = JournalWriter(lambda entries: _write(pool, entries))
        vault = opening_vault(settings.master_keys)
        tools, requests = _integrators(stack, settings, pool, vault, registry)
        breakers = Breakers()
        metrics.watch_circuits(lambda: breakers.levels(time.monotonic()))
        services = CallServices(
            app=settings.ari_app,
            ari=ari,
            rtp=rtp,
            pacer=pacer,
            journal=_CountingJournal(writer, metrics),
            directory=PooledDirectory(pool, default_blocks(settings)),
            providers=_call_providers(settings, registry, vault, apologies, breakers),
            clock=time.monotonic,
            wall_clock=lambda: datetime.now(UTC),
            entropy=lambda: secrets.randbits(80),
            tools=tools,
            rooms=Rooms(settings.cache / "rooms", settings.data_dir / "rooms"),
            requests=requests,
            **pooled_transfers(pool, settings.ari_app, _policy(settings).addresses),
            transfer_headers=frozenset(settings.transfer_headers),
            ring_s=settings.ring_timeout_s,
            adoptions=await PooledAdoptions.open(pool, settings.ari_app),
            country=settings.country,
        )
        controller = Controller(services)
        events = AriEvents(address, post=controller.post, connected=controller.recover)
        watch_controller(metrics, controller, writer, services, events)
        await _serve_health(stack, settings, metrics, events)
        async with asyncio.TaskGroup() as group:
            works = {
                "controller": controller.run(),
                "ari-events": events.run(),
                "loop-lag": measure_loop_lag(metrics.loop_lag_s.observe),
                **_told_by_others(settings, pool, controller, events),
                "heartbeat": beat(pool, ari, settings.ari_app, settings.node, controller.call_ids),
                "trunks": node_trunks(stack, settings, pool, ari, vault).run(),
                "rooms": services.rooms.prepare(),
                "garbage": garbage.look_when_idle(lambda: len(controller.calls)),
            }
            background = [group.create_task(work, name=name) for name, work in works.items()]
            garbage.set_aside()
            writing = group.create_task(writer.run(), name="journal")
            await stop.wait()
            await controller.drain(settings.drain_timeout_s)
            for task in background:
                task.cancel()
            await _finish(writer, writing)


def _told_by_others(
    settings: Settings, pool: asyncpg.Pool, controller: Controller, events: AriEvents
) -> dict[str, Coroutine[None, None, None]]:
    """Make what hears of commands to calls, and of calls to be placed."""
    app, defaults = settings.ari_app, default_blocks(settings)
    return {
        "commands": serve_commands(lambda: open_box(pool, app), controller.control),
        "outbound": serve_requests(
            lambda: open_requests(pool, app, defaults),
            lambda: controller.room if events.is_open else 0,
            controller.place,
        ),
    }


def _open_audio(stack: AsyncExitStack, settings: Settings) -> tuple[RtpSocket, Pacer]:
    """Open the socket of all audio, and begin to send from it."""
    rtp = RtpSocket(settings.media_address)
    stack.callback(rtp.close)
    rtp.open()
    pacer = Pacer(rtp.fileno())
    pacer.start()
    stack.callback(pacer.stop)
    return rtp, pacer


def _integrators(
    stack: AsyncExitStack,
    settings: Settings,
    pool: asyncpg.Pool,
    vault: Vault,
    registry: ProviderRegistry,
) -> tuple[CallToolSource, IntegratorRequests]:
    """Make what asks the servers of integrators while somebody waits on the telephone."""
    policy = _policy(settings)
    http = OutgoingHttp(policy)
    stack.push_async_callback(http.close)
    tools = call_tools(pool, vault, http, policy, _patience(settings))
    stack.push_async_callback(tools.close)
    rules = Rules(load_catalogue(), policy, default_blocks(settings))
    usable = Usability(registry, OwnKeys(vault))
    return tools, IntegratorRequests(pool, http, rules, usable.faults)


def _ari_address(settings: Settings) -> AriAddress:
    if settings.ari_url is None or settings.ari_password is None:
        raise SettingsError(
            "a controller needs SOVEREIGN_ARI_URL and SOVEREIGN_ARI_PASSWORD",
            hint="`sovereign up` sets both",
        )
    return AriAddress(
        settings.ari_url.rstrip("/"),
        settings.ari_username,
        settings.ari_password.get_secret_value(),
        settings.ari_app,
    )


async def api_parts(settings: Settings, pool: asyncpg.Pool) -> Parts:
    """What the API is made of, for the server and for commands that do the same work."""
    from api.parts import Parts

    async with pool.acquire() as connection:
        vault = await open_vault(connection, settings.master_keys)
    policy = _policy(settings)
    return Parts(
        pool=pool,
        catalogue=load_catalogue(),
        defaults=default_blocks(settings),
        version=__version__,
        vault=vault,
        outgoing=policy,
        http=OutgoingHttp(policy),
        allowed_per_minute=settings.rate_limit_per_minute,
        price_per_minute=settings.price_per_minute,
        public_url=settings.public_url,
        key_checks=KeyChecks(settings.openai_base_url),
    )


def _policy(settings: Settings) -> OutgoingPolicy:
    return OutgoingPolicy([ip_network(net, strict=False) for net in settings.outgoing_allow])


def _call_providers(
    settings: Settings,
    registry: ProviderRegistry,
    vault: Vault,
    apologies: Apologies,
    breakers: Breakers,
) -> CallProviders:
    paces = Paces() if settings.hedge_llm else None
    return CallProviders(
        registry, OwnKeys(vault), apologies, breakers, paces, speculate=settings.speculate
    )


def _patience(settings: Settings) -> Patience:
    return Patience(settings.tool_filler_after_s, settings.tool_filler_every_s)


async def run_api(settings: Settings) -> None:
    """Serve the REST API until SIGTERM or SIGINT."""
    from api.app import build_app  # the callers of a controller that begins anew wait for no API

    log.configure("api", level=settings.log_level, style=settings.log_format)
    stop = _stop_on_signals()
    async with AsyncExitStack() as stack:
        pool = await _open_pool(stack, settings, "api", max_size=10)
        registry = await stack.enter_async_context(_registry(settings))
        parts = await api_parts(settings, pool)
        parts = replace(parts, chat_model=RegistryChatModel(registry))
        application = build_app(parts)
        await _serve(stack, application, settings.bind, settings.api_port)
        garbage.set_aside()
        await stop.wait()


async def run_worker(settings: Settings) -> None:
    """Do the durable work until SIGTERM or SIGINT."""
    log.configure("worker", level=settings.log_level, style=settings.log_format)
    stop = _stop_on_signals()
    async with AsyncExitStack() as stack:
        pool = await _open_pool(stack, settings, "worker", max_size=12)
        http = OutgoingHttp(_policy(settings))
        stack.push_async_callback(http.close)
        vault = opening_vault(settings.master_keys)
        registry = await stack.enter_async_context(_registry(settings))
        models, counting = RegistryChatModel(registry), Counting(settings.prices)
        reports = reports_queue(pool, models, load_catalogue(), vault, counting)
        queues: list[Queue[Any]] = [deliveries_queue(pool, http), reports]
        async with asyncio.TaskGroup() as group:
            group.create_task(work(pool, stop), name="passes")
            group.create_task(all_of(queues, stop), name="queues")


class _CountingJournal:
    """Counts what it passes on."""

    def __init__(self, writer: JournalWriter, metrics: ControllerMetrics) -> None:
        self._writer = writer
        self._metrics = metrics

    def post(self, entry: JournalEntry) -> None:
        self._metrics.count(entry)
        self._writer.post(entry)


async def _write(pool: asyncpg.Pool, entries: Sequence[JournalEntry]) -> None:
    try:
        async with pool.acquire() as connection:
            await write_entries(connection, entries)
    except UNAVAILABLE as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
    except (asyncpg.PostgresError, ValueError, TypeError) as error:
        raise Bug(f"{type(error).__name__}: {error}") from error


async def _finish(writer: JournalWriter, writing: asyncio.Task[None]) -> None:
    """Let the journal write what waits, for as long as a stop may take."""
    writer.close()
    await asyncio.wait({writing}, timeout=JOURNAL_CLOSES_WITHIN_S)
    writing.cancel()
    if len(writer):
        _log.error("%d entries of the journal were not written", len(writer))


def _registry(settings: Settings) -> ProviderRegistry:
    key = settings.openai_api_key
    policy = _policy(settings)
    return ProviderRegistry(
        openai_api_key=key.get_secret_value() if key else None,
        openai_base_url=settings.openai_base_url,
        elsewhere=Elsewhere(
            outgoing=Outgoing(policy.fault, lambda: guarded_connector(policy)),
            google_credentials=settings.google_application_credentials,
        ),
    )


async def _open_pool(
    stack: AsyncExitStack, settings: Settings, name: str, *, max_size: int
) -> asyncpg.Pool:
    if settings.database_url is None:
        raise SettingsError(f"the {name} needs DATABASE_URL", hint="`sovereign up` sets it")
    pool = await create_pool(
        settings.database_url.get_secret_value(),
        application_name=f"sovereign-{name}",
        max_size=max_size,
    )
    stack.push_async_callback(close_pool, pool)
    return pool


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _serve(
    stack: AsyncExitStack, application: web.Application, host: str, port: int
) -> None:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port, reuse_address=True).start()


async def _serve_health(
    stack: AsyncExitStack, settings: Settings, metrics: ControllerMetrics, events: AriEvents
) -> None:
    """Serve `/healthz`, `/readyz` and `/metrics` of a controller on loopback."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        status = 200 if events.is_open else 503
        body = {"status": "ok" if events.is_open else "asterisk is not connected"}
        return web.Response(text=json.dumps(body), status=status, content_type="application/json")

    async def exposition(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": metrics.TYPE})

    if settings.controller_port is None:
        return
    application = web.Application()
    application.add_routes(
        [
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/metrics", exposition),
        ]
    )
    await _serve(stack, application, "127.0.0.1", settings.controller_port)
