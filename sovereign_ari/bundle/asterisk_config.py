"""Fills the templates of `asterisk/etc` for one data folder."""

from __future__ import annotations

import ipaddress
import os
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sovereign_ari.errors import SetupFailed

SOURCE = Path(__file__).resolve().parents[2] / "asterisk" / "etc"
SOUNDS = SOURCE.parent / "sounds"
SUFFIX = ".in"


class _ConfigTemplate(string.Template):
    """`@{name}`, because `${name}` belongs to the dialplan."""

    delimiter = "@"
    idpattern = r"(?!)"  # never without braces
    braceidpattern = r"[a-z_]+"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where one Asterisk lives.

    Attributes:
        etc: Rendered configuration.
        modules: Its loadable modules.
        share: Its documentation and REST descriptions.
        state: Its library, cache and spool folders.
        run: Its control socket.
        log: Its log files.
    """

    etc: Path
    modules: Path
    share: Path
    state: Path
    run: Path
    log: Path


@dataclass(frozen=True, slots=True)
class SipTls:
    """Where SIP over TLS listens, what it shows, and whom it trusts."""

    port: int
    cert_file: Path
    key_file: Path
    ca_file: Path


@dataclass(frozen=True, slots=True)
class Manager:
    """Where the manager interface listens on loopback, and its password."""

    port: int
    password: str


@dataclass(frozen=True, slots=True)
class PbxValues:
    """What changes from one bundled PBX to another.

    Attributes:
        identity: Twelve hexadecimal digits, stable for the data folder.
        bind: Address SIP listens on.
        external_address: Public address to write into SIP and SDP, behind NAT.
        apps: Stasis application of each controller process.
        trunk_addresses: Networks that trunks call from.
        local_networks: Networks whose callers need no account.
        rtp_ports: First and last RTP port.
        tls: SIP over TLS, None for none.
        manager: The manager interface, None when it is off.
    """

    identity: str
    bind: str
    sip_port: int
    ari_port: int
    ari_username: str
    ari_password: str
    softphone_password: str
    apps: tuple[str, ...]
    rtp_ports: tuple[int, int]
    trunk_addresses: tuple[str, ...] = ()
    local_networks: tuple[str, ...] = ("127.0.0.1/32",)
    external_address: str | None = None
    tls: SipTls | None = None
    manager: Manager | None = None


_TRUNK = """
; What trunks send, by their addresses (SOVEREIGN_TRUNK_ADDRESSES).
[trunk](ours)
context = from-trunk
identify_by = ip
trust_id_inbound = yes

[trunk]
type = identify
endpoint = trunk
srv_lookups = no
"""
_MULTILINE = frozenset(
    {"app_globals", "transport_external", "media_address", "trunk", "local_matches", "tls"}
)
_PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")


def _tls(values: PbxValues, bind: str) -> str:
    if values.tls is None:
        return ""
    lines = [
        "[tls]",
        "type = transport",
        "protocol = tls",
        f"bind = {bind}:{values.tls.port}",
        f"cert_file = {values.tls.cert_file}",
        f"priv_key_file = {values.tls.key_file}",
        f"ca_list_file = {values.tls.ca_file}",
        "method = tlsv1_2                      ; or newer",
        "verify_server = yes                   ; a carrier shows a certificate of its name",
    ]
    return "\n".join(lines) + "\n" + _external(values)


def _external(values: PbxValues) -> str:
    if values.external_address is None:
        return ""
    lines = [
        f"external_signaling_address = {values.external_address}",
        f"external_media_address = {values.external_address}",
        *(f"local_net = {network}" for network in _PRIVATE_NETWORKS),
    ]
    return "\n".join(lines) + "\n"


def _media_address(values: PbxValues) -> str:
    if ipaddress.ip_address(values.bind).is_unspecified:
        return ""
    return f"media_address = {values.bind}\nbind_rtp_to_media_address = yes\n"


def substitutions(values: PbxValues, folders: Folders) -> dict[str, str]:
    """Compute the value of every `@{name}` in the templates."""
    trunk = ""
    if values.trunk_addresses:
        trunk = _TRUNK + "".join(f"match = {network}\n" for network in values.trunk_addresses)
    apps = [f"SOVEREIGN_APPS = {len(values.apps)}"]
    apps += [f"SOVEREIGN_APP_{number} = {app}" for number, app in enumerate(values.apps, 1)]
    digits = values.identity[:10]
    bind = f"[{values.bind}]" if ":" in values.bind else values.bind
    return {
        "etc_dir": str(folders.etc),
        "module_dir": str(folders.modules),
        "share_dir": str(folders.share),
        "sounds_dir": str(SOUNDS),
        "state_dir": str(folders.state),
        "run_dir": str(folders.run),
        "log_dir": str(folders.log),
        "system_name": f"s{values.identity[:6]}",
        "entity_id": ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))]),
        "bind": bind,
        "sip_port": str(values.sip_port),
        "ari_port": str(values.ari_port),
        "ari_username": values.ari_username,
        "ari_password": values.ari_password,
        "softphone_password": values.softphone_password,
        "rtp_first": str(values.rtp_ports[0]),
        "rtp_last": str(values.rtp_ports[1]),
        "app": values.apps[0],
        "app_globals": "\n".join(apps),
        "transport_external": _external(values),
        "tls": _tls(values, bind),
        "ami_enabled": "no" if values.manager is None else "yes",
        "ami_port": str(values.manager.port) if values.manager else "5038",
        "ami_password": values.manager.password if values.manager else "",
        "media_address": _media_address(values),
        "trunk": trunk,
        "local_matches": "\n".join(f"match = {network}" for network in values.local_networks),
    }


def rendered(names: Mapping[str, str], source: Path = SOURCE) -> Iterator[tuple[str, str]]:
    """Yield the name and text of every configuration file.

    Raises:
        SetupFailed: When the folder is missing, a template names an unknown value, or a value
            holds a line break.
    """
    for name, value in names.items():
        if name not in _MULTILINE and ("\n" in value or "\r" in value or ";" in value):
            raise SetupFailed(f"the value of {name} cannot be written into Asterisk's files")
    files = sorted(source.glob("*.conf*"))
    if not files:
        raise SetupFailed(f"{source} holds no Asterisk configuration", hint="run from a checkout")
    for file in files:
        text = file.read_text()
        if file.suffix == SUFFIX:
            try:
                yield file.stem, _ConfigTemplate(text).substitute(names)
            except (KeyError, ValueError) as error:
                raise SetupFailed(f"{file.name}: unknown or malformed value {error}") from None
        else:
            yield file.name, text


def write_config(values: PbxValues, folders: Folders) -> None:
    """Write all files, 0600: two of them hold passwords."""
    folders.etc.mkdir(parents=True, exist_ok=True)
    folders.etc.chmod(0o700)
    written = set()
    for name, text in rendered(substitutions(values, folders)):
        path = folders.etc / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
        written.add(name)
    for stale in folders.etc.glob("*.conf"):
        if stale.name not in written:
            stale.unlink()
