"""Shapes in the user's cache: the same as those that are read, and a damaged file is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lexveil.nlp.patterns import known_shapes
from lexveil.nlp.patterns.known_shapes import pack_shapes, read_shapes, unpack_shapes
from lexveil.nlp.patterns.shapes import read_shape
from lexveil.nlp.patterns.syntax import parse
from lexveil.nlp.patterns.triggers import PatternSet

PATTERNS = [
    (r"\b(?:Mr|Ms|Dr)\. [A-Z]\w+", 0),
    (r"no\. ?\d{3,}", int(re.IGNORECASE)),
    (r"\w+", 0),
    (r"(?m)^(?:Born|Née) .*$", int(re.MULTILINE)),
    (r"x*", 0),
]
PATTERNS += [(f"{source}y?", flags) for source, flags in PATTERNS]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    known_shapes.read_pattern.cache_clear()  # as in a new process
    return tmp_path / "lexveil"


def read_anew() -> list[object]:
    return [read_shape(parse(source, flags)) for source, flags in PATTERNS]


def test_a_second_process_reads_no_pattern(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    first = read_shapes(PATTERNS)
    assert first == read_anew()
    assert len([*folder.iterdir()]) == 1
    known_shapes.read_pattern.cache_clear()
    monkeypatch.setattr(known_shapes, "read_shape", lambda _: pytest.fail("read"))
    assert read_shapes(PATTERNS) == first


def test_a_process_reads_and_compiles_what_several_sets_share_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(known_shapes, "read_shape", lambda tree: read.append(tree) or read_shape(tree))
    for more in (r"Herr [A-Z]\w+", r"Frau [A-Z]\w+"):
        read_shapes([*PATTERNS, (more, 0)])
    assert len(read) == len(PATTERNS) + 2
    first, second = (PatternSet().compile(*PATTERNS[0]) for _ in range(2))
    assert first.compiled is second.compiled


def test_other_patterns_flags_and_code_have_other_files(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    read_shapes(PATTERNS)
    read_shapes(PATTERNS[:-1])
    read_shapes([(source, flags | int(re.IGNORECASE)) for source, flags in PATTERNS])
    monkeypatch.setattr(known_shapes, "_compute_code_key", lambda: "of another version")
    read_shapes(PATTERNS)
    assert len([*folder.iterdir()]) == 4


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "of no shapes"])
def test_a_damaged_file_is_read_anew(damage: str, folder: Path) -> None:
    read_shapes(PATTERNS)
    (path,) = folder.iterdir()
    sound = path.read_bytes()
    path.write_bytes(
        {
            "cut": sound[:-20],
            "flipped": sound.replace(b'"Mr. ', b'"Mx. '),
            "empty": b"",
            "of no shapes": pack_shapes([])[:64] + b"{}",
        }[damage]
    )
    assert path.read_bytes() != sound
    assert read_shapes(PATTERNS) == read_anew()
    assert unpack_shapes(path.read_bytes()) == read_anew()


def test_few_patterns_leave_no_file(folder: Path) -> None:
    assert read_shapes(PATTERNS[:3]) == read_anew()[:3]
    assert not folder.exists()


def test_without_a_cache_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert read_shapes(PATTERNS) == read_anew()


def test_patterns_find_the_same_with_shapes_of_the_cache() -> None:
    text = ("Ms. Roe was born at Elm Street; Dr. Doe, file No. 1234, was not. " * 4).strip()
    found: list[list[tuple[int, int]]] = []
    for _ in range(2):
        own = PatternSet()
        patterns = [own.compile(source, flags) for source, flags in PATTERNS]
        found.append([match.span() for pattern in patterns for match in pattern.finditer(text)])
    plain = [match.span() for source, flags in PATTERNS for match in re.finditer(source, text, flags)]
    assert found == [plain, plain]
