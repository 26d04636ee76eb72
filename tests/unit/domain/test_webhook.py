"""The body and the signature of webhooks, as a receiver sees them."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

from sovereign_ari.domain.webhook import Subject, Webhook, headers, message, signature

AT = datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
SUBJECT = Subject(
    "call-inbound-01kah0zq7me4s1v9w2x3y4z5a6", "inbound", "in-progress",
    "3f0c2b52-7f4f-4d0e-9b7e-0a4f6d1c9e21", "+31201234567", "Desk", "+31612345678",
)  # fmt: skip


def test_the_common_body_has_the_documented_keys() -> None:
    body = json.loads(message("status-update", AT, SUBJECT, {"metadata": {"crm": "1"}}, error="x"))
    assert body == {
        "message": {
            "type": "status-update",
            "timestamp": "2026-01-01T12:00:00.123Z",
            "call": {
                "id": SUBJECT.call_id,
                "type": "inbound_phone_call",
                "status": "in-progress",
                "pipeline": "standard",
            },
            "phone_number": {
                "id": SUBJECT.number_id,
                "number": "+31201234567",
                "name": "Desk",
            },
            "customer": {"number": "+31612345678"},
            "assistant": {"metadata": {"crm": "1"}},
            "error": "x",
        }
    }


def test_without_an_assistant_the_key_is_absent() -> None:
    assert "assistant" not in json.loads(message("assistant-request", AT, SUBJECT))["message"]


def test_openssl_makes_the_same_signature() -> None:
    body = message("tool-calls", AT, SUBJECT)
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "s3cret", "-hex"],
        input=b"1767268800." + body,
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert signature("s3cret", 1767268800, body) == "sha256=" + made.split()[-1]


def test_headers_name_the_event_and_sign_only_with_a_secret() -> None:
    signed = headers("tool-calls", "d1", 1767268800, b"{}", "s3cret")
    assert signed["User-Agent"] == "HMS-Sovereign/1.0"
    assert (signed["X-Webhook-Event"], signed["X-Webhook-Id"]) == ("tool-calls", "d1")
    assert signed["X-Webhook-Timestamp"] == "1767268800"
    assert signed["X-Webhook-Signature"].startswith("sha256=")
    assert "X-Webhook-Signature" not in headers("tool-calls", "d1", 1, b"{}", None)


def test_numbers_and_secrets_do_not_show() -> None:
    assert "+31612345678" not in repr(SUBJECT)
    assert "s3cret" not in repr(Webhook("https://example.com", "s3cret"))
