"""What a starting controller does for the callers of its last life."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from sovereign_ari.first_aid import hold_callers
from sovereign_ari.settings import Settings, read_settings

CALL = "call-inbound-01arz3ndektsv4rrffq69g5fav"


def channel(name: str, **changes: Any) -> dict[str, Any]:
    """An answered caller of a controller called `sovereign`."""
    standing = {"app_name": "Stasis", "app_data": "sovereign,answered"}
    known = {"id": name, "state": "Up", "channelvars": {"SOVEREIGN_CALL": CALL}}
    return {**known, "dialplan": standing, **changes}


@contextmanager
def pbx(body: str) -> Iterator[tuple[Settings, list[str]]]:
    asked: list[str] = []

    class Ari(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body.encode())

        def do_POST(self) -> None:
            asked.append(self.path)
            self._answer(b"")

        def do_DELETE(self) -> None:
            self.do_POST()

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Ari)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/ari"
    try:
        yield read_settings({"SOVEREIGN_ARI_URL": url, "SOVEREIGN_ARI_PASSWORD": "p"}), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_answered_callers_of_its_own_name_wait_in_the_dialplan() -> None:
    standing = {"app_name": "Stasis", "app_data": "sovereign-2,answered"}
    listed = [
        channel("1.1"),
        channel("1.2", state="Ring"),
        channel("1.3", channelvars={}),
        channel("1.4", dialplan=standing),
        channel("1.5", dialplan={"app_name": "Bridge", "app_data": ""}),
        channel(f"{CALL}-media", channelvars=None),
    ]
    with pbx(json.dumps(listed)) as (settings, asked):
        assert hold_callers(settings) == 1
    assert asked == [
        "/ari/channels/1.1/continue?context=sovereign-answer&extension=hold&priority=1"
    ]


def test_whoever_was_being_called_is_hung_up_and_not_left_to_silence() -> None:
    placed = "call-outbound-01arz3ndektsv4rrffq69g5fav"
    standing = {"app_name": "Stasis", "app_data": "sovereign,leg"}
    others = {"app_name": "Stasis", "app_data": "sovereign-2,leg"}
    joined = {"app_name": "Wait", "app_data": "10"}
    listed = [
        channel(f"{placed}-line", state="Ringing", channelvars={}, dialplan=standing),
        channel(f"{placed[:-1]}w-line", channelvars={}, dialplan=standing),
        channel(f"{placed[:-1]}x-line", dialplan=standing),
        channel(f"{CALL}-transfer", state="Down", channelvars=None, dialplan=standing),
        channel(f"{CALL[:-1]}w-transfer", channelvars={}, dialplan=joined),
        channel(f"{CALL[:-1]}x-transfer", state="Ringing", channelvars={}, dialplan=others),
        channel(f"{CALL}-amd", channelvars={}, dialplan=standing),
    ]
    with pbx(json.dumps(listed)) as (settings, asked):
        assert hold_callers(settings) == 1, "he has talked already"
    hung_up = [path for path in asked if "continue" not in path]
    assert hung_up == [
        f"/ari/channels/{name}?reason_code=41"
        for name in (f"{placed}-line", f"{placed[:-1]}w-line", f"{CALL}-transfer")
    ]


def test_an_asterisk_that_is_away_or_talks_nonsense_keeps_no_controller_from_starting() -> None:
    for body in ("[1]", "{", '[{"id": "1.1"}]'):
        with pbx(body) as (settings, asked):
            assert hold_callers(settings) == 0
        assert asked == []
    assert hold_callers(read_settings({})) == 0
