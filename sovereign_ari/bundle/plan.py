"""What one `sovereign up` will run: ports, addresses, and the environment of each process."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from sovereign_ari.bundle.asterisk_config import Manager, PbxValues, SipTls
from sovereign_ari.bundle.certificates import certificate_of, trusted
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.ports import SIP, choose_port, free_port
from sovereign_ari.bundle.processes import Command
from sovereign_ari.settings import Settings

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one start. `controllers` has one per controller process."""

    api: int
    sip: int
    ari: int
    sip_tls: int
    ami: int
    controllers: tuple[int, ...]


def choose_ports(settings: Settings) -> Ports:
    """Choose every port before anything starts.

    Raises:
        SetupFailed: When a port that the operator chose is busy.
    """
    api = choose_port(
        "SOVEREIGN_API_PORT",
        settings.api_port,
        chosen=settings.chosen("api_port"),
        address=settings.bind,
    )
    taken = [api]
    sip = ari = sip_tls = ami = 0
    if settings.ari_url is None:
        sip = choose_port(
            "SOVEREIGN_SIP_PORT",
            settings.sip_port,
            chosen=settings.chosen("sip_port"),
            address=settings.bind,
            kinds=SIP,
            taken=taken,
        )
        ari = choose_port(
            "SOVEREIGN_ARI_PORT",
            settings.ari_port,
            chosen=settings.chosen("ari_port"),
            address=_LOOPBACK,
            taken=[*taken, sip],
        )
        sip_tls, ami = _trunk_ports(settings, [*taken, sip, ari])
    taken += [sip, ari, sip_tls, ami]
    controllers: list[int] = []
    if settings.controller_port is not None:
        controllers.append(
            choose_port(
                "SOVEREIGN_CONTROLLER_PORT",
                settings.controller_port,
                chosen=True,
                address=_LOOPBACK,
                taken=taken,
            )
        )
    while len(controllers) < settings.controllers:
        controllers.append(free_port(_LOOPBACK, taken=[*taken, *controllers]))
    return Ports(api, sip, ari, sip_tls, ami, tuple(controllers))


def _trunk_ports(settings: Settings, taken: list[int]) -> tuple[int, int]:
    """Choose what trunks need besides: SIP over TLS, and the interface that tells their state."""
    sip_tls = choose_port(
        "SOVEREIGN_SIP_TLS_PORT",
        settings.sip_tls_port,
        chosen=settings.chosen("sip_tls_port"),
        address=settings.bind,
        taken=taken,
    )
    ami = choose_port(
        "SOVEREIGN_AMI_PORT",
        settings.ami_port,
        chosen=settings.chosen("ami_port"),
        address=_LOOPBACK,
        taken=[*taken, sip_tls],
    )
    return sip_tls, ami


def app_names(settings: Settings) -> tuple[str, ...]:
    """Name the Stasis application of every controller: `sovereign`, `sovereign-2`, ..."""
    rest = range(2, settings.controllers + 1)
    return (settings.ari_app, *(f"{settings.ari_app}-{number}" for number in rest))


def reachable(bind: str) -> str:
    """Turn a bind address into one that programs on this machine can connect to."""
    address = ipaddress.ip_address(bind)
    if not address.is_unspecified:
        return f"[{bind}]" if address.version == 6 else bind
    return "[::1]" if address.version == 6 else _LOOPBACK


def pbx_values(settings: Settings, data: DataDir, ports: Ports) -> PbxValues:
    """Collect what the templates of the PBX need; passwords are made at the first time."""
    first, _, last = settings.rtp_ports.partition("-")
    password = settings.ari_password
    return PbxValues(
        identity=data.identity(),
        bind=settings.bind,
        sip_port=ports.sip,
        ari_port=ports.ari,
        ari_username=settings.ari_username,
        ari_password=(
            password.get_secret_value() if password is not None else data.secret("ari_password")
        ),
        softphone_password=data.secret(data.softphone_file.name),
        apps=app_names(settings),
        rtp_ports=(int(first), int(last)),
        trunk_addresses=settings.trunk_addresses,
        external_address=settings.external_address,
        tls=SipTls(ports.sip_tls, *certificate_of(settings, data), trusted(settings, data)),
        manager=Manager(ports.ami, data.secret("ami_password")),
    )


def own_commands(
    data: DataDir, environment: Mapping[str, str], ports: Ports, apps: tuple[str, ...]
) -> list[Command]:
    """Describe our own processes: api, worker, and each controller.

    Args:
        data: Where their logs go.
        environment: What they all get, with the settings that this start decided.
        ports: Port of each controller.
        apps: Stasis application of each controller.
    """

    def command(name: str, role: str, extra: Mapping[str, str]) -> Command:
        return Command(
            name=name,
            argv=(sys.executable, "-m", "sovereign_ari", role),
            log_path=data.logs / f"{name}.log",
            environment={**environment, **extra},
        )

    commands = [command("api", "api", {}), command("worker", "worker", {})]
    for number, (port, app) in enumerate(zip(ports.controllers, apps, strict=True), 1):
        name = "controller" if number == 1 else f"controller-{number}"
        extra = {"SOVEREIGN_CONTROLLER_PORT": str(port), "SOVEREIGN_ARI_APP": app}
        commands.append(command(name, "controller", extra))
    return commands
