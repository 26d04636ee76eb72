"""What an operator is told when a command fails."""

from __future__ import annotations

import pytest

from sovereign_ari.cli import main as cli
from sovereign_ari.errors import SetupFailed


def said_about(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_fault_in_a_group_of_tasks_is_named_not_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = SetupFailed("the disk is full", hint="make room")
    group = ExceptionGroup("tasks", [ExceptionGroup("more", [fault, ValueError("later")])])
    assert said_about(group, monkeypatch) == 1
    assert capsys.readouterr().err == "error: the disk is full\nhint:  make room\n"


def test_a_fault_of_our_own_is_named_with_its_kind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SOVEREIGN_LOG_LEVEL", raising=False)
    assert said_about(ExceptionGroup("tasks", [ValueError("odd")]), monkeypatch) == 1
    assert capsys.readouterr().err.startswith("error: ValueError: odd\nhint:  SOVEREIGN_LOG_LEVEL")
