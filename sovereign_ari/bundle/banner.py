"""What the operator is told when everything is up, on the terminal and in `ready.json`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Facts:
    """Where everything is. The SIP fields are None when the PBX is the operator's own."""

    api_url: str
    sip_uri: str | None
    sip_port: int | None
    ari_url: str
    database_url: str
    asterisk_cli: str | None
    controller_urls: tuple[str, ...]
    api_key_file: Path
    softphone_file: Path | None
    data_dir: Path


def ready_document(facts: Facts, pids: Mapping[str, int]) -> dict[str, object]:
    """Build the content of `ready.json`."""
    return {
        "api_url": facts.api_url,
        "sip_uri": facts.sip_uri,
        "sip_port": facts.sip_port,
        "ari_url": facts.ari_url,
        "database_url": facts.database_url,
        "asterisk_cli": facts.asterisk_cli,
        "api_key_file": str(facts.api_key_file),
        "softphone_password_file": str(facts.softphone_file) if facts.softphone_file else None,
        "controller_url": facts.controller_urls[0],
        "controller_urls": list(facts.controller_urls),
        "metrics_urls": [
            f"{facts.api_url.removesuffix('/api/v1')}/metrics",
            *(f"{url}/metrics" for url in facts.controller_urls),
        ],
        "data_dir": str(facts.data_dir),
        "pids": {"supervisor": os.getpid(), **pids},
    }


def banner(facts: Facts, took_s: float, new_key: str | None, *, has_provider: bool) -> list[str]:
    """Compose the lines printed once everything is up.

    Args:
        facts: Where everything is.
        took_s: How long the start took.
        new_key: The API key when it was made just now; it is shown this once.
        has_provider: Whether a speech or language provider's key is set.
    """
    lines = ["", f"Sovereign ARI is up after {took_s:.1f} s.", ""]
    if facts.sip_uri is not None:
        lines.append(f"  call        {facts.sip_uri}   (a softphone on this machine, no account)")
        lines.append(f"  softphone   user softphone, password in {facts.softphone_file}")
    else:
        lines.append(f"  PBX         your own, ARI at {facts.ari_url}")
    lines.append(f"  API         {facts.api_url}")
    if new_key is not None:
        lines.append(f"  API key     {new_key}   (shown this once)")
    lines.append(f"  key file    {facts.api_key_file}")
    lines.append(f"  logs        {facts.data_dir / 'logs'}")
    lines.append("")
    if not has_provider:
        lines += [
            "  No provider key: the demo assistant speaks with offline voices and follows a",
            "  script. Set OPENAI_API_KEY to have it converse freely.",
            "",
        ]
    lines.append(
        f'Next: curl -H "Authorization: Bearer $(cat {facts.api_key_file})" {facts.api_url}/calls'
    )
    lines += ["Ctrl-C ends the calls in order and stops everything.", ""]
    return lines
