"""Every `code` that an error of the API can carry: the reference and OpenAPI show this table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table.

    Attributes:
        status: HTTP status it comes with.
        kind: The error's `type`.
        meaning: When it comes, and what to do.
    """

    status: int
    kind: str
    meaning: str


CODES: dict[str, ErrorCode] = {
    "invalid_request": ErrorCode(
        400,
        "validation_error",
        "The body, the query or a header is malformed. `details` has one line per fault,"
        " `path: what is wrong`; `param` names the first field.",
    ),
    "missing_field": ErrorCode(
        400, "validation_error", "The field that `param` names is required and was not sent."
    ),
    "realtime_provider_not_allowed_per_node": ErrorCode(
        400,
        "validation_error",
        "A node of a workflow names a realtime provider; nodes take text providers only.",
    ),
    "unauthorized": ErrorCode(
        401, "authentication_error", "There is no API key in `Authorization`, or it is unknown."
    ),
    "api_key_expired": ErrorCode(
        401, "authentication_error", "The key's `expires_at` has passed. Create another."
    ),
    "api_key_revoked": ErrorCode(401, "authentication_error", "The key was deleted."),
    "insufficient_credits": ErrorCode(
        402, "billing_error", "The organisation's prepaid minutes are used up."
    ),
    "insufficient_scope": ErrorCode(
        403, "permission_error", "The key is valid, but lacks the scope that this operation needs."
    ),
    "not_found": ErrorCode(
        404,
        "not_found_error",
        "There is no such resource in the organisation of the key, or no such path.",
    ),
    "method_not_allowed": ErrorCode(
        405, "invalid_request_error", "The path exists; `Allow` names the methods it takes."
    ),
    "conflict": ErrorCode(
        409,
        "conflict_error",
        "The request contradicts what is stored: it exists already, it is in use, or it may no"
        " longer be changed. The message says by what.",
    ),
    "body_too_large": ErrorCode(413, "invalid_request_error", "Bodies are at most 1 MiB."),
    "idempotency_key_reused": ErrorCode(
        409,
        "conflict_error",
        "The `Idempotency-Key` was used for another request within 24 hours.",
    ),
    "transfer_under_way": ErrorCode(
        409,
        "conflict_error",
        "The caller is being put through already. Wait until that is over: when it fails, the"
        " assistant talks with the caller again.",
    ),
    "transfer_unavailable": ErrorCode(
        422, "invalid_request_error", "The call may not, or cannot, be transferred there."
    ),
    "call_not_answering": ErrorCode(
        422,
        "invalid_request_error",
        "The controller of the call did not take the command in time; the message says whether it"
        " may have been done.",
    ),
    "provider_error": ErrorCode(
        422,
        "invalid_request_error",
        "The language model did not answer a chat; the message says why. Nothing was stored.",
    ),
    "assistant_deleted": ErrorCode(
        422, "invalid_request_error", "The chat has no assistant any more. Begin another."
    ),
    "chat_full": ErrorCode(
        422, "invalid_request_error", "The chat has 200 messages, the most there can be."
    ),
    "destination_not_allowed": ErrorCode(
        422,
        "invalid_request_error",
        "The organisation may not call this number: its prefix is refused or not allowed, or it is"
        " a premium-rate number.",
    ),
    "campaign_not_ready": ErrorCode(
        422,
        "invalid_request_error",
        "The campaign cannot be scheduled: it needs an active assistant, and the organisation an"
        " active number with an active SIP trunk. The message names what is missing.",
    ),
    "no_outbound_number": ErrorCode(
        422,
        "invalid_request_error",
        "There is no number to call from: it must be active and have a SIP trunk"
        " (`transfer_trunk_id`).",
    ),
    "byok_key_refused": ErrorCode(
        422,
        "invalid_request_error",
        "The provider refuses the key: the one to be verified, or the one that is stored."
        " Nothing was changed.",
    ),
    "byok_key_unverified": ErrorCode(
        422,
        "invalid_request_error",
        "The key could not be verified: its provider gave no clear answer, or cannot be asked."
        " Nothing was stored; try again, or send it without `verify`.",
    ),
    "byok_key_missing": ErrorCode(
        422,
        "invalid_request_error",
        "The organisation stored no key of the vendor that `param` names: `POST /byok` does.",
    ),
    "resend_refused": ErrorCode(
        422,
        "invalid_request_error",
        "Resend understood and refused; the message has its words. Nothing was changed.",
    ),
    "resend_unavailable": ErrorCode(
        422,
        "invalid_request_error",
        "Resend could not be reached or gave no answer that can be used. Nothing was changed"
        " here; try again later.",
    ),
    "organisation_too_deep": ErrorCode(
        422,
        "invalid_request_error",
        "The organisation is a child itself, and children have none: there is one level.",
    ),
    "rate_limit_exceeded": ErrorCode(
        429,
        "rate_limit_error",
        "More than 100 requests with this key, or 10 commands to this call, within 60 seconds."
        " Wait for as long as `Retry-After` says; the request was not processed.",
    ),
    "too_many_calls": ErrorCode(
        429,
        "rate_limit_error",
        "The organisation has as many outgoing calls as it may have at one time. Nobody was"
        " called; try again when one has ended.",
    ),
    "too_many_calls_per_second": ErrorCode(
        429,
        "rate_limit_error",
        "The organisation began as many outgoing calls just now as it may. Nobody was called; wait"
        " for as long as `Retry-After` says.",
    ),
    "internal_error": ErrorCode(
        500, "api_error", "A mistake of ours. Nothing was changed; our log has the `X-Request-Id`."
    ),
    "database_unavailable": ErrorCode(
        503,
        "api_error",
        "The database cannot be reached, or is too busy. Nothing was changed: try again after"
        " `Retry-After`.",
    ),
    "secret_unreadable": ErrorCode(
        503,
        "api_error",
        "A stored secret cannot be opened, for its master key is missing. The operator must"
        " restore it, or the secret must be stored again.",
    ),
}


def as_markdown() -> str:
    """The table, for the reference."""
    rows = [
        f"| `{code}` | {entry.status} | `{entry.kind}` | {entry.meaning} |"
        for code, entry in CODES.items()
    ]
    return "\n".join(["| code | status | type | meaning |", "| --- | --- | --- | --- |", *rows])
