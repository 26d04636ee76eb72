"""What the timeline of a call says about providers that were asked again, or not at all.

Every note has the same facts: `kind` (`llm`, `stt` or `tts`), `from` and `to` (`provider/model`),
`code` and `message` of the fault that led to it, and `took_ms`, the time lost by then. Messages
are those of `ProviderError`: no keys, and nothing that anybody said.

    provider_retry     the same provider is asked once more
    provider_fallback  the next one is asked; `from` has failed
    provider_hedge     a second request was sent, for the first is slow
    circuit_open       `from` was not asked, for it has failed too often; `to` is
    fallback_unusable  a fall-back cannot work as configured, and will not be asked in this call
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from sovereign_ari.errors import ProviderError

Note: TypeAlias = Callable[[str, Mapping[str, object]], None]
"""Puts something on the timeline of a call: a kind, and facts."""

Kind: TypeAlias = Literal["stt", "llm", "tts"]

RETRY = "provider_retry"
FALLBACK = "provider_fallback"
HEDGE = "provider_hedge"
CIRCUIT_OPEN = "circuit_open"
UNUSABLE = "fallback_unusable"


def unnoted(_kind: str, _facts: Mapping[str, object]) -> None:
    """For work that has no timeline."""


class ProviderNotes:
    """Writes the notes about one kind of provider.

    Args:
        note: Takes them.
        kind: Which.
    """

    def __init__(self, note: Note, kind: Kind) -> None:
        self.kind = kind
        self._note = note

    def retry(self, label: str, error: ProviderError, took_s: float) -> None:
        """It is asked once more."""
        self._write(RETRY, label, label, error, took_s)

    def fallback(self, label: str, to: str, error: ProviderError, took_s: float) -> None:
        """The next one is asked."""
        self._write(FALLBACK, label, to, error, took_s)

    def hedge(self, label: str, to: str, took_s: float) -> None:
        """A second request was sent while the first is waited for."""
        self._write(HEDGE, label, to, None, took_s)

    def circuit_open(self, label: str, to: str) -> None:
        """One was passed over."""
        self._write(CIRCUIT_OPEN, label, to, None, 0.0)

    def unusable(self, label: str, error: ProviderError) -> None:
        """A fall-back is none."""
        self._write(UNUSABLE, label, None, error, 0.0)

    def _write(
        self, what: str, label: str, to: str | None, error: ProviderError | None, took_s: float
    ) -> None:
        self._note(
            what,
            {
                "kind": self.kind,
                "from": label,
                "to": to,
                "code": error.code if error else None,
                "message": str(error) if error else None,
                "took_ms": round(took_s * 1000),
            },
        )
