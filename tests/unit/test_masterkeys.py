"""The file of master keys: made once, read strictly, replaced whole."""

from __future__ import annotations

import base64
import logging
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from sovereign_ari.errors import SetupFailed, VaultClosed
from sovereign_ari.masterkeys import (
    add_key,
    keep_newest,
    load_vault,
    opening_vault,
    read_keys,
)
from sovereign_ari.vault import Vault, key_id_of

RACERS = 8


def line(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


def _load(path: Path, results: multiprocessing.Queue[bytes], start: multiprocessing.Event) -> None:  # type: ignore[valid-type]  # it is a function there
    start.wait(10)  # type: ignore[attr-defined]
    results.put(load_vault(path).newest)


def test_a_missing_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "master.keys"
    mask = os.umask(0)
    try:
        vault = load_vault(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_vault(path).newest == vault.newest
    assert [key_id_of(key) for key in read_keys(path)] == [vault.newest]
    assert vault.newest.hex() in path.read_text()
    assert [entry.name for entry in path.parent.iterdir()] == ["master.keys"]


def test_processes_that_race_share_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[bytes] = context.Queue()
    start = context.Event()
    path = tmp_path / "master.keys"
    racers = [context.Process(target=_load, args=(path, results, start)) for _ in range(RACERS)]
    for racer in racers:
        racer.start()
    start.set()
    found = {results.get(timeout=60) for _ in racers}
    for racer in racers:
        racer.join(10)
    assert len(found) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.keys"]


def test_comments_and_empty_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_text(f"# ours\n\n  {line(1)}  # the new one\n{line(2)}\n")
    assert read_keys(path) == [b"\x01" * 32, b"\x02" * 32]


@pytest.mark.parametrize(
    "bad", ["not base64!", "AAAA", line(1)[:-2], line(1) + line(1), line(1) + " " + line(1)]
)
def test_a_bad_line_is_named_without_its_content(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "k"
    path.write_text(f"# one\n{line(1)}\n{bad}\n")
    with pytest.raises(SetupFailed, match=r"k, line 3: not 32 bytes in base64") as caught:
        read_keys(path)
    assert bad not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe"])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    with pytest.raises(SetupFailed):
        load_vault(path)
    assert path.read_bytes() == content


def test_what_cannot_be_read_or_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupFailed, match="cannot be read"):
        read_keys(tmp_path)
    with pytest.raises(SetupFailed, match="cannot be made"):
        load_vault(tmp_path / "file" / "master.keys")


def test_a_new_key_goes_on_top_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_text(f"# ours\n{line(2)} # old\n")
    path.chmod(0o600)
    add_key(path)
    new, old = read_keys(path)
    assert old == b"\x02" * 32
    assert path.read_text().endswith(f"# ours\n{line(2)} # old\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keep_newest(path)
    assert read_keys(path) == [new]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["k"]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text(line(2))
    link.symlink_to(real)
    add_key(link)
    assert link.is_symlink()
    assert len(read_keys(real)) == 2


def test_a_running_process_follows_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "k"
    running, opening = load_vault(path), opening_vault(path)
    before = running.seal(b"one", "b")
    assert opening.open(before, "b") == b"one"
    add_key(path)
    after = load_vault(path).seal(b"two", "b")
    assert opening.open(after, "b") == b"two"
    assert running.seal(b"three", "b")[1:9] == after[1:9]
    assert running.open(before, "b") == b"one"
    keep_newest(path)
    assert running.open(running.seal(b"four", "b"), "b") == b"four"
    with pytest.raises(VaultClosed):
        running.open(before, "b")


def test_a_file_that_spoils_or_vanishes_leaves_a_running_process_as_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "k"
    vault = load_vault(path)
    sealed = vault.seal(b"secret", "b")
    path.write_text("spoiled")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert vault.open(vault.seal(b"secret", "b"), "b") == b"secret"
    assert [record.message for record in caplog.records] == [
        f"{path}, line 1: not 32 bytes in base64"
    ]
    path.unlink()
    assert vault.open(sealed, "b") == b"secret"
    foreign = Vault([bytes(32)]).seal(b"secret", "b")
    for closed in (vault, opening_vault(path)):
        with pytest.raises(VaultClosed):
            closed.open(foreign, "b")
    assert not path.exists()
