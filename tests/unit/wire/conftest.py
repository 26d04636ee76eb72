from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from sovereign_ari.wire.rtp_socket import RtpSocket


@pytest.fixture
def rtp() -> Iterator[RtpSocket]:
    with closing(RtpSocket("127.0.0.1")) as made:
        yield made
