"""Who answered a call that we placed: a human, or which machine. Evidence in, verdict out. Pure.

No single witness is believed. Words weigh most (`greeting_words`), the PBX's count of words and
pauses (AMD) weighs little, for it takes every long-winded reception for a machine: alone it is
never enough. Points for a voicemail:

    +3  words that only machines say           -3  offers to take a message
    +2  words that are likely a machine's      -2  words of a human
    +1  two kinds of either                    -2  four words or less, none of them certain
    +2  a beep behind speech                   -1  the PBX heard a human
    +1  the PBX heard a machine
    +1  14 words and more
    +½  words that are faintly a machine's

Two points are a voicemail when some of them are for words or a beep; behind the first utterance
four, with words that are certain. A human who is taken for a machine is hung up on; a machine
taken for a human costs a minute of talk. So in doubt it is a human, or unknown, with whom the
conversation goes on just the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from sovereign_ari.domain.greeting_words import Clues, clues_in
from sovereign_ari.domain.records import EndReason

Sound: TypeAlias = Literal["beep", "fax", "special", "busy"]

ENOUGH = 2.0
ENOUGH_WHEN_SETTLED = 4.0
FEW_WORDS = 4
MANY_WORDS = 14
_HUMAN_SAYS = 6  # words at most, when nothing speaks for a machine


class Kind(Enum):
    """Who or what answered."""

    HUMAN = "human"
    VOICEMAIL = "voicemail"
    MAILBOX_FULL = "mailbox_full"
    CALL_SCREENING = "call_screening"
    IVR = "ivr"
    FAX = "fax"
    OUT_OF_SERVICE = "out_of_service"
    BUSY = "busy"
    UNKNOWN = "unknown"


END_REASONS = {
    Kind.VOICEMAIL: EndReason.VOICEMAIL,
    Kind.MAILBOX_FULL: EndReason.VOICEMAIL,
    Kind.FAX: EndReason.UNREACHABLE,
    Kind.OUT_OF_SERVICE: EndReason.UNREACHABLE,
    Kind.BUSY: EndReason.BUSY,
}
"""How a call ends that such a machine answered."""


@dataclass(frozen=True, slots=True)
class PbxVerdict:
    """What the PBX's AMD() said.

    Attributes:
        status: `MACHINE`, `HUMAN`, `NOTSURE`, or anything else for none.
        cause: E.g. `LONGGREETING-1520-1500`.
    """

    status: str
    cause: str = ""

    @property
    def points(self) -> float:
        """For a voicemail. Silence at the beginning is a human's as often as a machine's."""
        if self.status == "MACHINE":
            return 0.0 if self.cause.startswith("INITIALSILENCE") else 1.0
        return -1.0 if self.status == "HUMAN" else 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about whoever answered.

    Attributes:
        text: What was recognised of the first utterance, or of all since. *Personal.*
        pbx: What the PBX said.
        sounds: The tones that were heard. A beep only when it stood behind speech.
        settled: Whether the first utterance is over, and was no machine's.
    """

    text: str = ""
    pbx: PbxVerdict | None = None
    sounds: frozenset[Sound] = frozenset()
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is made of the evidence; holds no words of anybody.

    Attributes:
        kind: Who it is.
        points: As a voicemail.
        because: What it was weighed by.
        certain: Whether there were words that only machines say, or tones.
    """

    kind: Kind
    points: float
    because: tuple[str, ...]
    certain: bool = False


def judge(evidence: Evidence) -> Verdict:
    """Weigh the evidence."""
    clues = clues_in(evidence.text)
    points, because = _weigh(evidence, clues)
    certain = bool(clues.certain or clues.full or clues.gone or evidence.sounds)
    return Verdict(_kind(evidence, clues, points), points, because, certain)


def _kind(evidence: Evidence, clues: Clues, points: float) -> Kind:
    if "fax" in evidence.sounds:
        return Kind.FAX
    if "busy" in evidence.sounds:
        return Kind.BUSY
    enough = ENOUGH_WHEN_SETTLED if evidence.settled else ENOUGH
    talks = bool(clues.human or clues.offer)
    if (clues.gone and not talks) or "special" in evidence.sounds:
        return Kind.OUT_OF_SERVICE
    if clues.full and not talks:
        return Kind.MAILBOX_FULL
    if clues.screening and _asks_for_a_name(clues):
        return Kind.CALL_SCREENING
    if points >= enough and _may_be_voicemail(evidence, clues):
        return Kind.VOICEMAIL
    if clues.menu and not talks:
        return Kind.IVR
    return Kind.HUMAN if _is_human(evidence, clues) else Kind.UNKNOWN


def _may_be_voicemail(evidence: Evidence, clues: Clues) -> bool:
    """Whether anything says so but the length of what was said."""
    if evidence.settled:
        return bool(clues.certain)
    return bool(clues.certain or clues.likely or "beep" in evidence.sounds)


def _asks_for_a_name(clues: Clues) -> bool:
    """Whether it wants to know who calls, rather than record it."""
    if {"state your name", "reason for calling"} <= set(clues.screening):
        return "after the tone" not in clues.certain or "screening" in clues.screening
    return not set(clues.certain) - {"please record", "the person you are calling"}


def _is_human(evidence: Evidence, clues: Clues) -> bool:
    if clues.human or clues.offer:
        return True
    if clues.certain or clues.likely:
        return False
    if evidence.pbx is not None and evidence.pbx.status == "HUMAN":
        return True
    return 0 < clues.count <= _HUMAN_SAYS


def _weigh(evidence: Evidence, clues: Clues) -> tuple[float, tuple[str, ...]]:
    pbx = evidence.pbx or PbxVerdict("")
    short = 0 < clues.count <= FEW_WORDS and not clues.certain
    long = clues.count >= MANY_WORDS and not clues.human
    weights: list[tuple[float, bool, str]] = [
        (3.0, bool(clues.certain), _words("certain", clues.certain)),
        (1.0, len(clues.certain) > 1, ""),
        (2.0, bool(clues.likely), _words("likely", clues.likely)),
        (1.0, len(clues.likely) > 1, ""),
        (0.5, bool(clues.faint), _words("faint", clues.faint)),
        (-2.0, bool(clues.human), _words("human", clues.human)),
        (-3.0, bool(clues.offer), _words("human", clues.offer)),
        (-2.0, short, "few words"),
        (1.0, long, "many words at once"),
        (2.0, "beep" in evidence.sounds, "a beep"),
        (pbx.points, bool(pbx.status), f"AMD: {pbx.status} {pbx.cause}".strip()),
    ]
    others = (
        [f"a {sound} tone" for sound in sorted(evidence.sounds - {"beep"})]
        + [_words("mailbox full", clues.full)] * bool(clues.full)
        + [_words("screening", clues.screening)] * bool(clues.screening)
        + [_words("menu", clues.menu)] * bool(clues.menu)
        + [_words("out of service", clues.gone)] * bool(clues.gone)
    )
    because = [said for _, holds, said in weights if holds and said]
    return sum(points for points, holds, _ in weights if holds), (*because, *others)


def _words(what: str, labels: tuple[str, ...]) -> str:
    return f"words, {what}: {', '.join(labels)}"
