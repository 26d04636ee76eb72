from __future__ import annotations

import pytest

from sovereign_ari.conversation import ears
from sovereign_ari.media.vad import level_dbfs


class LoudFrames:
    """Takes what is loud for speech: the frames of these tests are loud or silent.

    What is speech, and how soon that is known, is the business of tests/unit/media.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz

    def is_speech(self, pcm: bytes) -> bool:
        return level_dbfs(pcm) > -45


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ears, "VoiceActivity", LoudFrames)
