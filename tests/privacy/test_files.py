"""Durable writes: a reader sees the old file or the new one, and nothing else remains."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lexveil.privacy.files import sync_folder, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_pieces_make_the_same_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "whole", b"one two three")
    write_atomically(tmp_path / "pieces", (piece for piece in (b"one ", b"", b"two ", b"three")))
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes() == b"one two three"
    assert names(tmp_path) == ["pieces", "whole"]


def test_an_empty_file_can_be_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "empty", b"")
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize(("mode", "umask", "expected"), [(0o600, 0, 0o600), (0o666, 0o022, 0o644)])
def test_the_mode_is_cut_by_the_umask(tmp_path: Path, mode: int, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", b"x", mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected


def test_a_secret_is_never_readable_by_others_while_it_is_written(tmp_path: Path) -> None:
    modes: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield b"secret"
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir())

    before = os.umask(0)
    try:
        write_atomically(tmp_path / "key", pieces())
    finally:
        os.umask(before)
    assert modes == [0o600]


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def torn() -> Iterator[bytes]:
        yield b"half of the n"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, torn())
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_an_existing_file_is_replaced_as_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_without_overwriting_the_first_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", overwrite=False)
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


def test_of_many_writers_without_overwriting_exactly_one_wins(tmp_path: Path) -> None:
    path, wins, start = tmp_path / "file", [], threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        try:
            write_atomically(path, bytes([number]) * 1000, overwrite=False)
        except FileExistsError:
            return
        wins.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert path.read_bytes() == bytes(wins) * 1000
    assert names(tmp_path) == ["file"]


def test_a_leftover_of_a_named_partial_file_is_replaced(tmp_path: Path) -> None:
    partial = tmp_path / "file.partial"
    partial.write_bytes(b"left by a kill, and longer than the new content")
    write_atomically(tmp_path / "file", b"new", partial=partial)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none" / "file", b"x")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "none")


def test_content_and_name_reach_the_disk_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content before the name, the name before the return: whatever a power failure interrupts."""
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, (tmp_path / "file").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    write_atomically(tmp_path / "file", b"x")
    assert synced == [("file", False), ("folder", True)]
