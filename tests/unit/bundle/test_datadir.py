from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.errors import SetupFailed


def test_a_folder_is_used_by_one_at_a_time(tmp_path: Path) -> None:
    first, second = DataDir(tmp_path), DataDir(tmp_path)
    first.lock()
    with pytest.raises(SetupFailed, match=f"process {os.getpid()}"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    secret = data.secret("ari_password")
    assert DataDir(tmp_path).secret("ari_password") == secret
    assert (tmp_path / "ari_password").stat().st_mode & 0o777 == 0o600


def test_ready_comes_and_goes(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.announce({"api_url": "x"})
    assert json.loads(data.ready_file.read_text()) == {"api_url": "x"}
    data.withdraw()
    data.withdraw()
    assert not data.ready_file.exists()


def test_a_socket_folder_has_a_short_path_even_when_the_data_folder_has_not(
    tmp_path: Path,
) -> None:
    data = DataDir(tmp_path / ("long" * 40))
    folder = data.socket_folder("postgres")
    assert len(os.fsencode(folder)) <= 75
    assert folder.stat().st_mode & 0o777 == 0o700
    data.unlock()
    assert not folder.parent.exists()


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupFailed, match="cannot use the data folder"):
        DataDir(tmp_path / "file")
