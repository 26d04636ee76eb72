from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sovereign_ari.bundle.asterisk_config import (
    Folders,
    PbxValues,
    rendered,
    substitutions,
    write_config,
)
from sovereign_ari.errors import SetupFailed

VALUES = PbxValues(
    identity="0123456789ab",
    bind="127.0.0.1",
    sip_port=5060,
    ari_port=8088,
    ari_username="sovereign",
    ari_password="p",
    softphone_password="s",
    apps=("sovereign",),
    rtp_ports=(10000, 19999),
)


def folders(base: Path) -> Folders:
    return Folders(base / "etc", base, base, base, base, base)


def test_a_value_that_would_end_its_line_is_refused(tmp_path: Path) -> None:
    names = substitutions(replace(VALUES, ari_password="a\npermit = 0.0.0.0/0"), folders(tmp_path))
    with pytest.raises(SetupFailed, match="ari_password"):
        list(rendered(names))


def test_a_template_with_an_unknown_value_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.conf.in").write_text("a = @{nonsense}\n")
    with pytest.raises(SetupFailed, match="nonsense"):
        list(rendered({}, tmp_path))


def test_dialplan_variables_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.conf.in").write_text("${EXTEN} @{bind}\n")
    assert list(rendered({"bind": "b"}, tmp_path)) == [("x.conf", "${EXTEN} b\n")]


def test_files_are_private_and_stale_ones_go(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "old.conf").write_text("")
    write_config(VALUES, folders(tmp_path))
    written = list((tmp_path / "etc").iterdir())
    assert "old.conf" not in {path.name for path in written}
    assert {path.stat().st_mode & 0o777 for path in written} == {0o600}


def test_without_trunk_addresses_there_is_no_trunk(tmp_path: Path) -> None:
    text = dict(rendered(substitutions(VALUES, folders(tmp_path))))["pjsip.conf"]
    assert "[trunk]" not in text


def test_an_ipv6_address_is_bracketed_and_a_wildcard_fixes_no_media_address(
    tmp_path: Path,
) -> None:
    names = substitutions(replace(VALUES, bind="::"), folders(tmp_path))
    assert names["bind"] == "[::]"
    assert names["media_address"] == ""
