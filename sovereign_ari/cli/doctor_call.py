"""The half of `sovereign doctor` that calls the demo: what to dial, what to say, where to look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from db.demo import EXTENSION as NUMBER
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.doctor.diagnosis import AudioPath, diagnose
from sovereign_ari.doctor.finding import Finding, Grade
from sovereign_ari.doctor.hearing import without_silent_end
from sovereign_ari.doctor.record import Record, read_record
from sovereign_ari.doctor.telephone import open_telephone
from sovereign_ari.doctor.trial import Trial, try_call
from sovereign_ari.errors import AsteriskRefused, ProviderError, SovereignError
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import PCM_8K
from sovereign_ari.media.transcode import Converter
from sovereign_ari.settings import Settings
from sovereign_ari.speech.espeak_tts import EspeakTextToSpeech

__all__ = ["NUMBER", "QUESTION", "call_demo"]

QUESTION = "what are your opening hours"
_VOICE = "en-us"  # the accent of the offline recogniser's model
_WORDS_PER_MINUTE = 150


async def call_demo(settings: Settings, ready: dict[str, Any]) -> list[Finding]:
    """Call the demo of a running product, and judge what was heard."""
    try:
        question = await _question()
    except ProviderError:
        question = b""  # the parts say so already
    try:
        trial = await _trial(settings, ready, question)
    except SovereignError as error:
        return [Finding("call", Grade.FAIL, str(error), _remedy(error))]
    record, unread = await _record(ready, trial)
    path = AudioPath(settings.rtp_ports, settings.media_address)
    return [*diagnose(trial, record, path), *unread]


def _remedy(error: SovereignError) -> str:
    if isinstance(error, AsteriskRefused) and error.status in (401, 403):
        return "SOVEREIGN_ARI_USERNAME and SOVEREIGN_ARI_PASSWORD must be those of ari.conf"
    return "look at ARI and Asterisk among the parts above, and at asterisk.log"


async def _question() -> bytes:
    """Speak the question as µ-law that ends with its last loud sample."""
    voice = EspeakTextToSpeech(_VOICE, words_per_minute=_WORDS_PER_MINUTE)
    converter = Converter(voice.audio, PCM_8K)
    spoken = [converter.convert(chunk) async for chunk in voice.speak(QUESTION)]
    return pcm_to_ulaw(without_silent_end(b"".join(spoken) + converter.flush()))


async def _trial(settings: Settings, ready: dict[str, Any], question: bytes) -> Trial:
    if settings.ari_password is not None:
        password = settings.ari_password.get_secret_value()
    else:
        password = DataDir(settings.data_dir).secret("ari_password")
    async with open_telephone(
        ready["ari_url"], settings.ari_username, password, settings.media_address
    ) as phone:
        return await try_call(phone, NUMBER, question)


async def _record(ready: dict[str, Any], trial: Trial) -> tuple[Record | None, list[Finding]]:
    """Read the product's own record of the call, or say why that was not possible."""
    what = "record of the call"
    try:
        record = await read_record(ready["api_url"], _key(ready), trial.caller)
    except (OSError, aiohttp.ClientError, TimeoutError) as error:
        remedy = f"the API must accept the key in {ready['api_key_file']}"
        return None, [Finding(what, Grade.POOR, str(error) or "no answer", remedy)]
    if record is None and trial.answer_s is not None:
        remedy = "another organisation owns the number, or the journal cannot write: see the logs"
        return None, [Finding(what, Grade.POOR, "the API knows nothing of it", remedy)]
    return record, []


def _key(ready: dict[str, Any]) -> str:
    return Path(ready["api_key_file"]).read_text().strip()
