from __future__ import annotations

from pathlib import Path

import pytest

from sovereign_ari.bundle.processes import last_line


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("error: the grammar is wrong\nhint:  read it again\n", "the grammar is wrong"),
        ("one\n  two\n\n", "two"),
        ("hint:  alone\n", "it said nothing"),
        ("", "it said nothing"),
    ],
)
def test_what_a_process_said_last_is_a_sentence_and_no_hint(
    tmp_path: Path, log: str, line: str
) -> None:
    (tmp_path / "log").write_text(log)
    assert last_line(tmp_path / "log") == line


def test_a_process_without_a_log_said_nothing(tmp_path: Path) -> None:
    assert last_line(tmp_path / "log") == "it said nothing"
