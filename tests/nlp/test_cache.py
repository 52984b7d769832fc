"""The user's cache: what nobody has used for long leaves it, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from lexveil.nlp import cache
from lexveil.nlp.cache import cache_folder, compute_once, mark_used, write_cached
from lexveil.nlp.patterns.known_shapes import read_shapes

DAY = 86400
PATTERNS = [(rf"[a-{letter}]\d+", 0) for letter in "bcdefghijk"]
OURS = (
    f"shapes-{'0' * 32}.json",
    f"{'a' * 32}.npy",
    f"{'b' * 32}.onnx",
    "languages-1.2.3-0123456789abcdef.safetensors",
    "code-0123456789abcdef-lexveil.pipeline.stages.mask",
    "tmp1a_b2c3d.partial",
)
OF_OTHERS = ("matplotlib", "notes.txt", "shapes-mine.json", f"{'a' * 32}.npy.bak")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache_folder().mkdir()
    return cache_folder()


def age(path: Path, days: float) -> Path:
    path.touch()
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))
    return path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_nobody_has_used_for_long_is_removed(folder: Path) -> None:
    for name in (*OURS, *OF_OTHERS):
        age(folder / name, 100)
    write_cached(folder / f"{'c' * 32}.npy", b"new")
    assert names_in(folder) == {*OF_OTHERS, f"{'c' * 32}.npy"}


def test_what_another_version_may_use_stays(folder: Path) -> None:
    for name in OURS:
        age(folder / name, 80)
    write_cached(folder / f"{'c' * 32}.npy", b"new")
    assert names_in(folder) == {*OURS, f"{'c' * 32}.npy"}


def test_a_link_stays_and_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    target = age(tmp_path / "elsewhere", 100)
    (folder / OURS[0]).symlink_to(target)
    os.utime(folder / OURS[0], (0, 0), follow_symlinks=False)
    (folder / OURS[1]).mkdir()
    os.utime(folder / OURS[1], (0, 0))
    write_cached(folder / f"{'c' * 32}.npy", b"new")
    assert names_in(folder) == {OURS[0], OURS[1], f"{'c' * 32}.npy"}
    mark_used(folder / OURS[0])
    assert time.time() - target.stat().st_mtime > 99 * DAY


def test_a_use_is_noted(folder: Path) -> None:
    """Else a file of patterns that never change would be removed although each process reads it."""
    read_shapes(PATTERNS)
    compute_once("d" * 32, 2, np.float32, lambda: np.ones(2, np.float32))
    for path in folder.iterdir():
        age(path, 100)
    read_shapes(PATTERNS)
    compute_once("d" * 32, 2, np.float32, lambda: pytest.fail("computed again"))
    write_cached(folder / f"{'c' * 32}.npy", b"new")
    assert len(names_in(folder)) == 3


def test_a_use_of_today_writes_nothing(folder: Path) -> None:
    path = age(folder / OURS[0], 0.5)
    before = path.stat().st_mtime_ns
    mark_used(path)
    assert path.stat().st_mtime_ns == before
    mark_used(folder / "missing")


def test_a_file_that_cannot_be_removed_hinders_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        age(folder / name, 100)

    def refuse(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(cache.Path, "unlink", refuse)
    write_cached(folder / f"{'c' * 32}.npy", b"new")
    assert names_in(folder) == {*OURS, f"{'c' * 32}.npy"}
