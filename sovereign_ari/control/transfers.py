"""Transfers of a line that cannot transfer."""

from __future__ import annotations

from sovereign_ari.conversation.terms import Destination, TransferOutcome


class NoTransfers:
    """Says so, for the model to tell the caller."""

    async def transfer(self, destination: Destination) -> TransferOutcome:
        """Refuse."""
        return TransferOutcome(False, "calls cannot be transferred on this line")
