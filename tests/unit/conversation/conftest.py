from __future__ import annotations

import pytest

from sovereign_ari.media import hearing
from tests.support.loud_frames import LoudFrames


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames of these tests are loud or silent; tests/unit/media is about real sounds."""
    monkeypatch.setattr(hearing, "VoiceActivity", LoudFrames)
