"""A carrier for tests: a second Asterisk on another loopback address, with one account.

It lets the account register, challenges the calls that come to it, and calls the product: as a
registered account is called, or by address.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import tempfile
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp

from sovereign_ari.bundle.asterisk import BundledAsterisk, find_program
from sovereign_ari.bundle.asterisk_config import PbxValues
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.ports import SIP, free_port
from sovereign_ari.bundle.processes import Child
from tests.support.tone_code import encode

CARRIER_HOST = "127.0.0.2"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
RATE_HZ = 8000
_CLI_TIMEOUT_S = 10.0

ANSWERS = "+31201000200"
"""Answers and says nothing."""

TALKS = ("+31201000301", "+31201000302", "+31201000303")
"""Answer, hear one out, say `SAYS`, hear one out again, and keep what they heard."""

SAYS = "Hi there"
LISTENS_S = 15
"""How long they wait for a beginning, and for an end, before they go on all the same."""

_SOUND_MS, _PAUSE_MS = 60, 800

_PJSIP = """
[global]
type = global
user_agent = A carrier
endpoint_identifier_order = {order}

[udp]
type = transport
protocol = udp
bind = {host}:{port}

[tcp]
type = transport
protocol = tcp
bind = {host}:{port}
{tls}
[account](!)
type = endpoint
context = from-customer
disallow = all
allow = ulaw,alaw
direct_media = no
; From the address in its SDP: the beginning of whoever sends from another one is lost.
media_address = {host}
bind_rtp_to_media_address = yes
send_pai = yes
media_encryption_optimistic = yes
media_encryption = {srtp}

[{username}](account)
auth = {username}
aors = {username}
identify_by = username,auth_username

[{username}]
type = auth
auth_type = digest
username = {username}
password = {password}

[{username}]
type = aor
max_contacts = 4
remove_existing = yes
minimum_expiration = 30

; The product, as a carrier that calls by address, or with the account's credentials
[customer](account)
aors = customer
outbound_auth = {username}
{identify}
[customer]
type = aor
contact = sip:{product_host}:{product_port}{transport}
"""
_TLS = """
[tls]
type = transport
protocol = tls
bind = {host}:{port}
cert_file = {cert}
priv_key_file = {key}
method = tlsv1_2
"""
_IDENTIFY = """
[customer]
type = identify
endpoint = customer
match = {product_host}
"""
_EXTENSIONS = f"""
[from-customer]
exten => {ANSWERS},1,Answer()
 same => n,Wait(600)
exten => _{TALKS[0][:-1]}X,1,Set(GLOBAL(VIA_${{EXTEN}})=${{PJSIP_HEADER(read,Via)}})
 same => n,MixMonitor(,r(@FOLDER@/${{EXTEN}}.wav))
 same => n,Answer()
 same => n,Set(GLOBAL(SECURE_${{EXTEN}})=${{CHANNEL(rtp,secure)}})
 same => n,WaitForNoise({_SOUND_MS},1,{LISTENS_S})
 same => n,WaitForSilence({_PAUSE_MS},1,{LISTENS_S})
 same => n,Playback(@FOLDER@/says)
 same => n,WaitForNoise({_SOUND_MS},1,{LISTENS_S})
 same => n,WaitForSilence({_PAUSE_MS},1,{LISTENS_S})
 same => n,StopMixMonitor()
 same => n,Wait(600)
[calling]
exten => talk,1,Wait(600)
"""


@dataclass(frozen=True, slots=True)
class Account:
    """What the customer was told.

    Attributes:
        known_by: How its calls are recognised: by what they claim and prove, or by their address.
    """

    username: str = "bakery"
    password: str = "correct horse"
    known_by: Literal["account", "address"] = "account"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the carrier shows over TLS."""

    cert: Path
    key: Path


class Carrier:
    """One running carrier. Made by `running_carrier`."""

    def __init__(
        self,
        pbx: BundledAsterisk,
        product: tuple[str, int],
        certificate: Certificate | None,
        tls_port: int,
    ) -> None:
        self._pbx = pbx
        self._product = product
        self._certificate = certificate
        self._child: Child | None = None
        self.host = pbx.values.bind
        self.port = pbx.values.sip_port
        self.tls_port = tls_port
        self.account = Account()

    @property
    def address(self) -> str:
        """As `address` of a trunk."""
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Run it, with the account as it is."""
        self._pbx.configure()
        self._write()
        self._child = Child(self._pbx.command())
        await self._child.start()
        await self._pbx.wait_until_ready(START_TIMEOUT_S)
        await self.console("module load app_waitforsilence.so")

    async def stop(self) -> None:
        """End it; calls and registrations are gone."""
        if self._child is not None:
            await self._child.stop(STOP_TIMEOUT_S)
            self._child = None

    async def change(self, account: Account) -> None:
        """Change the account; what is registered stays so until it registers again."""
        self.account = account
        self._write()
        await self.console("module reload res_pjsip.so")

    async def console(self, command: str) -> str:
        """Run one command in its console."""
        process = await asyncio.create_subprocess_exec(
            *shlex.split(self._pbx.cli), "-x", command,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(_CLI_TIMEOUT_S):
            output, _ = await process.communicate()
        return output.decode()

    async def registered(self) -> bool:
        """Whether the account has a contact."""
        return "sip:" in await self.console(f"pjsip show aor {self.account.username}")

    async def forget(self) -> None:
        """Forget where the account is registered."""
        await self.console("database deltree registrar")

    @asynccontextmanager
    async def calling(self, number: str | None = None) -> AsyncIterator[None]:
        """Call a number of the product by its address, or the registered account for None."""
        target = f"PJSIP/{self.account.username}" if number is None else f"PJSIP/{number}@customer"
        query = {
            "endpoint": target,
            "context": "calling",
            "extension": "talk",
            "priority": "1",
            "formats": "ulaw",
        }
        values = self._pbx.values
        login = aiohttp.encode_basic_auth(values.ari_username, values.ari_password)
        url = f"{self._pbx.ari_url}/channels"
        async with aiohttp.ClientSession(headers={"Authorization": login}) as session:
            async with session.post(url, params=query) as answer:
                assert answer.status == 200, await answer.text()
        try:
            yield
        finally:
            await self.hang_up()

    async def hang_up(self) -> None:
        """End every call."""
        await self.console("channel request hangup all")

    async def global_variable(self, name: str) -> str:
        """Read a variable that its dialplan has set: `VIA_` and `SECURE_` with one of `TALKS`."""
        shown = await self.console("dialplan show globals")
        lines = (line.strip().partition("=") for line in shown.splitlines())
        return next((value for key, _, value in lines if key == name), "")

    def heard(self, number: str) -> bytes:
        """What one of `TALKS` heard, PCM16 at 8 kHz; nothing while it listens."""
        try:
            with wave.open(str(self._pbx.folders.etc / f"{number}.wav"), "rb") as file:
                return file.readframes(file.getnframes())
        except (FileNotFoundError, EOFError, wave.Error):
            return b""  # it is being written

    async def idle(self) -> bool:
        """Whether there is no call at all."""
        return not (await self.console("core show channels concise")).strip()

    async def talking(self) -> bool:
        """Whether a call is up."""
        return "!Up!" in await self.console("core show channels concise")

    def _write(self) -> None:
        etc = self._pbx.folders.etc
        host, port = self._product
        by_address = self.account.known_by == "address"
        values: Mapping[str, object] = {
            "order": "username,ip,auth_username",
            "host": self.host,
            "port": self.port,
            "srtp": "no" if self._certificate is None else "sdes",
            "username": self.account.username,
            "password": self.account.password,
            "product_host": host,
            "product_port": port,
            "transport": "",
            "identify": _IDENTIFY.format(product_host=host) if by_address else "",
            "tls": "" if self._certificate is None else _TLS.format(
                host=self.host, port=self.tls_port, cert=self._certificate.cert,
                key=self._certificate.key,
            ),
        }  # fmt: skip
        (etc / "pjsip.conf").write_text(_PJSIP.format(**values))
        (etc / "extensions.conf").write_text(_EXTENSIONS.replace("@FOLDER@", str(etc)))
        with wave.open(str(etc / "says.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(encode(SAYS, RATE_HZ))


@asynccontextmanager
async def running_carrier(
    product: tuple[str, int], host: str = CARRIER_HOST, certificate: Certificate | None = None
) -> AsyncIterator[Carrier]:
    """Run a carrier whose customer is the product at an address.

    Args:
        product: Where the product takes SIP.
        host: Loopback address of the carrier.
        certificate: For TLS, which it speaks only with one.
    """
    folder = Path(tempfile.mkdtemp(prefix="sovereign-carrier-"))
    data = DataDir(folder)
    values = PbxValues(
        identity=data.identity(),
        bind=host,
        sip_port=free_port(host, SIP),
        ari_port=free_port("127.0.0.1"),
        ari_username="sovereign",
        ari_password="secret-of-the-carrier",
        softphone_password="unused",
        apps=("sovereign",),
        rtp_ports=(31000, 31499),
    )
    carrier = Carrier(
        BundledAsterisk(data, find_program(), values), product, certificate, free_port(host)
    )
    try:
        await carrier.start()
        yield carrier
    finally:
        await carrier.stop()
        data.unlock()
        shutil.rmtree(folder)
