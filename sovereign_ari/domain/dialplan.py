"""Names that the dialplan and we must spell alike; a test compares them with asterisk/etc."""

from __future__ import annotations

from typing import Final

ANSWER_CONTEXT: Final = "sovereign-answer"
ANSWER_EXTENSION: Final = "answer"

UNKNOWN_EXTENSION: Final = "unknown"
"""In `ANSWER_CONTEXT`: says goodbye to an answered caller whose call no controller knows."""

LATER_EXTENSION: Final = "later"
"""In `ANSWER_CONTEXT`: an answered caller waits, and is offered to a controller again soon."""

HOLD_EXTENSION: Final = "hold"
"""In `ANSWER_CONTEXT`: the same, for the caller of a controller that died."""

INBOUND_CONTEXT: Final = "sovereign-inbound"
AGAIN_EXTENSION: Final = "again"
"""In `INBOUND_CONTEXT`: a call that still rings is offered to controllers once more."""

ARGUMENT_INBOUND: Final = "inbound"
"""First Stasis argument of a new call; then number, codec, caller, presentation, trunk."""

ARGUMENT_ANSWERED: Final = "answered"
"""First Stasis argument of a call that comes back from `ANSWER_CONTEXT`."""

ARGUMENT_TIMEOUT: Final = "timeout"
"""First Stasis argument of a call whose longest duration, or whose lease, is over."""

TRANSFER_CONTEXT: Final = "sovereign-transfer"
WAIT_EXTENSION: Final = "wait"
"""In `TRANSFER_CONTEXT`: where somebody waits whom a caller is about to be joined with."""
JOIN_EXTENSION: Final = "join"
"""In `TRANSFER_CONTEXT`: joins the caller with `VARIABLE_PEER`, for as long as both like."""

REFER_CONTEXT: Final = "sovereign-refer"
REFER_EXTENSION: Final = "refer"
"""In `REFER_CONTEXT`: asks the caller's side to call `VARIABLE_REFER_TO`."""

ARGUMENT_BACK: Final = "back"
"""First Stasis argument of a caller whose transfer failed; then a status and a SIP code."""
REFER_AGREED: Final = "SUCCESS"
"""That status, when the caller's side does call somebody else: the only one that is no failure."""

ARGUMENT_MEDIA: Final = "media"
"""First Stasis argument of our own external-media channels; the dialplan never sees it."""

ARGUMENT_LEG: Final = "leg"
"""First Stasis argument of a further channel that we make: to call somebody, or to listen."""

AMD_CONTEXT: Final = "sovereign-amd"
AMD_EXTENSION: Final = "listen"
"""Listens to whoever answered a call of ours: human or machine?"""

ARGUMENT_AMD: Final = "amd"
"""Behind `ARGUMENT_LEG`, of a listener that comes back: AMD's status and cause follow."""

LISTENERS_APP: Final = "SOVEREIGN_APP"
"""Set by us on a listener: the application that it comes back to. Callers' channels have it."""

VARIABLE_LAPSED: Final = "SOVEREIGN_LAPSED"
"""Set to 1 by the dialplan when a lease is over, cleared by us when the call goes on."""

VARIABLE_ENDS_AT: Final = "SOVEREIGN_ENDS_AT"
"""Set by the dialplan: the Unix second at which the longest call is over."""

VARIABLE_ALONE_UNTIL: Final = "SOVEREIGN_ALONE_UNTIL"
"""Set by the dialplan: until when a caller waits for a controller; emptied by one that comes."""

VARIABLE_ALONE_S: Final = "SOVEREIGN_ALONE_S"
"""Set by us: how many whole seconds a caller waits for a controller when no one answers for it."""

VARIABLE_ALONE_REASON: Final = "SOVEREIGN_ALONE_REASON"
"""Set by us: the end reason of a call that ended because nobody came."""

GLOBAL_ENDED: Final = "SOVEREIGN_ENDED_"
"""With the call id behind it: set by the dialplan to `<end reason>:<Unix seconds>` when a call
ends, and `:minded` behind that unless it minded the call alone; read and removed by us."""

VARIABLE_MAX_S: Final = "SOVEREIGN_MAX_S"
"""Set by us before `ANSWER_CONTEXT`: the longest call, in seconds."""

VARIABLE_LEASE_S: Final = "SOVEREIGN_LEASE_S"
"""Set by us before `ANSWER_CONTEXT`: how long the call may go on until we renew it."""

VARIABLE_LANGUAGE: Final = "SOVEREIGN_LANGUAGE"
"""Set by us before `ANSWER_CONTEXT`: in which the PBX speaks to the caller when we are gone."""

VARIABLE_TALK: Final = "SOVEREIGN_TALK"
"""Set by us before `ANSWER_CONTEXT` when the caller's silence matters: the milliseconds and the
level of TALK_DETECT."""

VARIABLE_APP: Final = "SOVEREIGN_APP"
"""The application that the dialplan gives a channel back to: it sets it itself for a call that
comes in, and we set it for one that we place."""

TRUNK_VARIABLE: Final = "SOVEREIGN_TRUNK"
"""Set by the endpoint that a call came over: the id of its SIP trunk, or the name of an endpoint
that several share; then we set the id when it is known whose call it is."""

VARIABLE_CALL: Final = "SOVEREIGN_CALL"
"""Set by us on the caller's channel: the call id, which ARI shows with the channel."""

CONSOLE_NAME: Final = "CHANNEL(accountcode)"
"""Set by us on the caller's channel to the call id: `sovereign calls` in the console shows it."""

VARIABLE_PEER: Final = "SOVEREIGN_PEER"
"""Set by us before `TRANSFER_CONTEXT`: the name of the channel that the caller is joined with."""

VARIABLE_REFER_TO: Final = "SOVEREIGN_REFER_TO"
"""Set by us before `REFER_CONTEXT`: the URI."""

REFERRED_CONTEXT: Final = "sovereign-referred"
"""Where a phone of ours may send whom it was joined with."""

VARIABLE_HOPS: Final = "SOVEREIGN_HOPS"
"""Set by us on a leg to one of our own numbers, and in `REFERRED_CONTEXT` by the dialplan: how
often its caller has been transferred so."""
