"""What the figures of a trial call mean, and what to do about them. Pure.

The doctor's own figures say that something is wrong, the product's record of the same call says
where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sovereign_ari.doctor.finding import Finding, Grade
from sovereign_ari.doctor.record import Json, Record
from sovereign_ari.doctor.trial import ANSWER_WITHIN_S, REACTION_WITHIN_S, Trial

SLOW_ANSWER_S = 1.0
SLOW_GREETING_S = 2.0
SLOW_REACTION_S = 1.5
NO_CONVERSATION_S = 4.0
"""Nobody waits longer for an answer on the telephone."""

_POOR_LOSS, _BROKEN_LOSS = 0.01, 0.10
_POOR_JITTER_MS = 30.0
_FAINT_DBFS, _LOUD_DBFS = -35.0, -9.0
_CLIPPED = 0.001
_FEWEST = 0.5  # of the packets that a direction should have carried

_LOGS = "see controller.log in the log folder"
# Q.850 cause of a call that was not answered: what it means here, and the remedy.
_NO_EXTENSION = (
    "the dialplan does not take this call",
    "copy the context sovereign-inbound into extensions.conf, as it is in asterisk/etc",
)
_REFUSALS: Mapping[int, tuple[str, str]] = {
    0: _NO_EXTENSION,
    1: ("nobody has this number", "give the extension an assistant, or add the number"),
    3: _NO_EXTENSION,
    18: ("it rang until its time was over", _LOGS),
    19: ("nobody is there to answer", "make its assistant active with PATCH /assistants/<id>"),
    34: (
        "no controller is connected to Asterisk",
        "start one: `sovereign status` shows which process is down, its log why",
    ),
    42: ("the controller is draining, or failed", _LOGS),
    58: ("the codec was refused", "load codec_ulaw in modules.conf"),
    79: ("the codec was refused", "load codec_ulaw in modules.conf"),
}
_STAGES = (  # key of the timeline's latency, its name, and who is responsible for it
    ("llm_ms", "model", "llm"),
    ("first_sentence_ms", "first sentence", "llm"),
    ("tts_ms", "voice", "tts"),
    ("playout_ms", "playout", None),
)


@dataclass(frozen=True, slots=True)
class AudioPath:
    """Where the audio goes, for the remedies.

    Attributes:
        rtp_ports: Asterisk's ports, e.g. `10000-19999`.
        media_address: Ours, as Asterisk sees it.
    """

    rtp_ports: str
    media_address: str

    @property
    def remedy(self) -> str:
        """What to do when packets do not get through."""
        return (
            f"let UDP pass both ways between Asterisk's RTP ports ({self.rtp_ports}) and"
            f" SOVEREIGN_MEDIA_ADDRESS={self.media_address}: address, firewall, strictrtp"
        )


def diagnose(trial: Trial, record: Record | None, path: AudioPath) -> list[Finding]:
    """Judge a trial call.

    Args:
        trial: What the doctor measured.
        record: What the product wrote down; None when it could not be read.
        path: For the remedies.
    """
    findings = [_answer(trial, record)]
    if trial.answer_s is None:
        return findings
    known = record or Record()
    findings += _provider_faults(known)
    findings.append(_greeting(trial, known))
    heard, received = trial.media.get("received", 0), known.media.get("received", 0)
    findings.append(_packets("we hear the agent", trial.media, trial, path))
    if record is not None:
        findings.append(_packets("the agent hears us", record.media, trial, path))
        if heard == 0 and received == 0:
            findings.append(
                Finding("audio", Grade.FAIL, "neither side hears the other", path.remedy)
            )
    if trial.level_dbfs is not None:
        findings.append(_level(trial.level_dbfs, trial.clipped_share))
    findings += _reaction(trial, record)
    return findings


def _answer(trial: Trial, record: Record | None) -> Finding:
    what = "answer"
    if trial.answer_s is not None:
        by = f" by {record.controller}" if record and record.controller else ""
        grade = Grade.SLOW if trial.answer_s > SLOW_ANSWER_S else Grade.OK
        detail = f"{_ms(trial.answer_s)}{by}"
        return Finding(what, grade, detail, "look at the load of this machine and the database")
    if trial.ended_cause is None:
        return Finding(
            what,
            Grade.FAIL,
            f"{trial.number} was not answered within {ANSWER_WITHIN_S:g} s",
            "a controller took the call and does nothing: is its process stopped or busy? Restart"
            f" it, and {_LOGS}",
        )
    cause = trial.ended_cause
    meaning, remedy = _REFUSALS.get(cause, ("the call was refused", _LOGS))
    why = f" ({record.error})" if record and record.error else ""
    return Finding(what, Grade.FAIL, f"cause {cause}: {meaning}{why}", remedy)


def _provider_faults(record: Record) -> list[Finding]:
    findings = []
    for event in record.events:
        if event["kind"] == "provider_fault":
            detail = event["detail"]
            refused = detail.get("code") == "provider_refused"
            remedy = (
                "check the provider's key, and the model and voice of the assistant"
                if refused
                else "check the network to the provider, and its status page"
            )
            message = str(detail.get("message", detail))
            findings.append(Finding("provider", Grade.FAIL, message, remedy))
    return findings + _stand_ins(record)


def _stand_ins(record: Record) -> list[Finding]:
    """Name the providers that did not do their work, so that others did."""
    said = []
    for event in record.events:
        detail = event["detail"]
        if event["kind"] == "provider_fallback":
            said.append(f"{detail['message']}; {detail['to']} stood in for {detail['from']}")
        elif event["kind"] == "circuit_open":
            said.append(f"{detail['from']} has failed too often; {detail['to']} stood in for it")
        elif event["kind"] == "fallback_unusable":
            said.append(f"the fall-back {detail['from']} cannot work: {detail['message']}")
    remedy = "check the provider's key, the network to it, and its status page"
    return [Finding("provider", Grade.POOR, line, remedy) for line in dict.fromkeys(said)]


def _greeting(trial: Trial, record: Record) -> Finding:
    what = "greeting"
    greeting = next((turn for turn in record.turns if turn["user"] is None), None)
    if greeting is not None and greeting["error"]:
        return Finding(what, Grade.FAIL, f"failed: {greeting['error']}", "see the provider above")
    if trial.greeting_s is not None:
        if trial.talks_on:
            return Finding(
                what, Grade.POOR, "does not end", "shorten the assistant's first_message"
            )
        grade = Grade.SLOW if trial.greeting_s > SLOW_GREETING_S else Grade.OK
        detail = f"{_ms(trial.greeting_s)} after the answer"
        return Finding(what, grade, detail, f"its voice is slow: {_model(record, 'tts')}")
    if greeting is None:
        if record.controller:
            return Finding(what, Grade.OK, "none: the assistant has no first_message")
        return Finding(what, Grade.FAIL, "nothing was said", _LOGS)
    if greeting["first_packet_ms"] is None:
        remedy = f"its voice {_model(record, 'tts')} gave no sound; {_LOGS}"
        return Finding(what, Grade.FAIL, "answered, but silent", remedy)
    detail = "the controller spoke, and nothing of it came through the PBX"
    return Finding(what, Grade.FAIL, detail, "see the packets below")


def _packets(what: str, media: Mapping[str, float], trial: Trial, path: AudioPath) -> Finding:
    received, lost, late = (int(media.get(key, 0)) for key in ("received", "lost", "late"))
    jitter_ms = media.get("jitter_ms", 0.0)
    if received < _FEWEST * trial.connected_s * 50:
        strangers = int(media.get("strangers", 0))
        others = f", {strangers} from an unexpected address" if strangers else ""
        nothing = "nothing" if received == 0 else f"only {received} packets"
        detail = f"{nothing} in {trial.connected_s:.1f} s{others}"
        return Finding(what, Grade.FAIL, detail, path.remedy)
    detail = f"{received} packets, {lost} lost, {late} late, jitter {jitter_ms:.1f} ms"
    share = (lost + late) / (received + lost)
    if share > _BROKEN_LOSS:
        return Finding(what, Grade.FAIL, detail, path.remedy)
    poor = share > _POOR_LOSS or jitter_ms > _POOR_JITTER_MS
    remedy = "this machine or the network to Asterisk is overloaded: look at CPU and UDP drops"
    return Finding(what, Grade.POOR if poor else Grade.OK, detail, remedy)


def _level(level_dbfs: float, clipped_share: float) -> Finding:
    detail = f"{level_dbfs:.0f} dBFS"
    if clipped_share > _CLIPPED:
        detail += f", {clipped_share:.1%} clipped"
        return Finding("level", Grade.POOR, detail, "choose another voice: this one is too loud")
    if not _FAINT_DBFS <= level_dbfs <= _LOUD_DBFS:
        remedy = "choose another voice: -26 to -16 dBFS is pleasant"
        return Finding("level", Grade.POOR, detail, remedy)
    return Finding("level", Grade.OK, detail)


def _reaction(trial: Trial, record: Record | None) -> list[Finding]:
    if trial.ended_cause is not None and trial.reaction_s is None:
        why = (record and (record.error or record.end_reason)) or f"cause {trial.ended_cause}"
        return [Finding("call", Grade.FAIL, f"the agent hung up too early: {why}", _LOGS)]
    if not trial.asked:
        return [Finding("voice to voice", Grade.FAIL, "not measured: we could not speak", "")]
    turn = _turn_of_ours(record)
    findings = [_understood(turn)] if turn is not None else []
    asked_again = trial.reaction_s is not None and turn is None and record is not None
    if trial.reaction_s is not None and not asked_again:
        findings.append(_voice_to_voice(trial.reaction_s, turn, record))
        return findings
    detail = f"no reaction to speech within {REACTION_WITHIN_S:g} s"
    if asked_again:
        detail = "the agent spoke, but about nothing that we said"
    if record is None:
        remedy = _LOGS
    elif turn is None and record.media.get("received", 0) == 0:
        remedy = "the agent does not hear us: see its packets above"
    elif turn is None:
        remedy = f"it hears us, but recognises nothing: look at {_model(record, 'stt')}"
    else:
        remedy = f"it understood, but did not speak: look at {_model(record, 'llm')}; {_LOGS}"
    return [*findings, Finding("voice to voice", Grade.FAIL, detail, remedy)]


def _turn_of_ours(record: Record | None) -> Json | None:
    turns = record.turns if record else ()
    return next((turn for turn in reversed(turns) if turn["user"]), None)


def _understood(turn: Json) -> Finding:
    return Finding("understood", Grade.OK, f'"{turn["user"]}"')


def _voice_to_voice(reaction_s: float, turn: Json | None, record: Record | None) -> Finding:
    what, detail = "voice to voice", _ms(reaction_s)
    grade = Grade.SLOW if reaction_s > SLOW_REACTION_S else Grade.OK
    if reaction_s > NO_CONVERSATION_S:
        grade = Grade.FAIL
    if turn is None or record is None:
        return Finding(what, grade, detail, _LOGS)
    stages = _stages(turn, record)
    detail += ": " + ", ".join(f"{stage.name} {stage.ms:.0f}" for stage in stages)
    slowest = max(stages, key=lambda stage: stage.ms)
    who = f" ({slowest.model})" if slowest.model else ""
    remedy = f"most of it is the {slowest.name}{who}: {slowest.ms:.0f} ms"
    return Finding(what, grade, detail, remedy)


@dataclass(frozen=True, slots=True)
class _Stage:
    name: str
    ms: float
    model: str | None = None


def _stages(turn: Json, record: Record) -> list[_Stage]:
    """Divide the time of a turn, as the product measured it, by who spent it."""
    delay_ms = record.end_of_turn_s * 1000
    latency = turn["latency"]
    stages = [_Stage("configured end-of-turn delay", delay_ms)]
    if (endpoint_ms := latency["endpoint_ms"]) is not None:
        beyond_ms = max(0.0, endpoint_ms - delay_ms)
        stages.append(_Stage("recogniser", beyond_ms, _model(record, "stt")))
    for key, name, kind in _STAGES:
        if latency[key] is not None:
            stages.append(_Stage(name, latency[key], kind and _model(record, kind)))
    return stages


def _model(record: Record, kind: str) -> str:
    """Name a provider as `provider/model`."""
    models = (turn["models"].get(kind) for turn in record.turns)
    return next((str(model) for model in models if model), kind)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
