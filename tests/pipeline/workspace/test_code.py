"""Digests of code: all that can change a result counts, and nothing else."""

from __future__ import annotations

import importlib
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lexveil.nlp.cache import cache_folder, compute_once
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.workspace import code
from lexveil.pipeline.workspace.storage import locate_state_folder

STAGES = [
    f"lexveil.pipeline.stages.{name}"
    for name in ("ingest", "find", "mask", "encode", "train", "extract", "audit")
]


@pytest.fixture(scope="module")
def as_it_is() -> dict[str, str]:
    return {module: code.code_digest(module) for module in STAGES}


def clear_caches() -> None:
    for cache in (
        code._hash_files,
        code._find_file,
        code._parse,
        code.code_digest,
        code.import_closure,
        code._list_imports,
        code._dump,
    ):
        cache.cache_clear()


@pytest.fixture(scope="module")
def unchanged() -> dict[tuple[str, str], Any]:
    return {}


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unchanged: dict[tuple[str, str], Any]):
    """Digests of all stages as they would be with one file changed."""

    def digests(file: str, old: str, new: str) -> dict[str, str]:
        path = code.ROOT / "lexveil" / file
        content = path.read_text(encoding="utf-8")
        assert old in content
        read = Path.read_bytes

        def changed(self: Path) -> bytes:
            return content.replace(old, new, 1).encode() if self == path else read(self)

        def keep(compute: Callable[[str], Any]) -> Callable[[str], Any]:
            """The same, but what is the same in every test, all files but one, is read once."""

            def look_up(module: str) -> Any:
                if code._find_file(module) == path:
                    return compute(module)
                key = compute.__name__, module
                if key not in unchanged:
                    unchanged[key] = compute(module)
                return unchanged[key]

            return look_up

        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(Path, "read_bytes", changed)
        clear_caches()
        for name in ("_dump", "_list_imports"):
            monkeypatch.setattr(code, name, keep(getattr(code, name).__wrapped__))
        try:
            return {module: code.code_digest(module) for module in STAGES}
        finally:
            monkeypatch.undo()
            clear_caches()

    return digests


# What commit faa0730 got wrong, by hand-kept lists: (file, old, new, stages whose digest changes).
EDITS = [
    ("nlp/entity_types.py", '"GPE": "LOCATION"', '"GPE": "ORGANIZATION"', {"find", "mask"}),
    ("privacy/pseudonyms.py", "def surrogate_seed(", "def surrogate_seed_(", {"mask"}),
    ("pipeline/labels.py", "def parse_classes(", "def parse_classes_(", {"ingest", "train", "audit"}),
    ("pipeline/training/attacks.py", "_CONFIDENCE = 0.95", "_CONFIDENCE = 0.5", {"audit"}),
    ("nlp/encoders/public_text.txt", "the", "The", {"encode", "train", "extract", "audit"}),
    ("privacy/dp/audit/gate.py", '"""', '"""Edited. ', set()),
    ("pipeline/reports/run.py", '"""', '"""Edited. ', set()),
    ("pipeline/stages/find.py", "\n\n", "\n# Edited.\n\n", set()),
]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "old", "new", "stages"), EDITS)
def test_an_edit_changes_the_stages_that_it_can_change(as_it_is, edited, file, old, new, stages) -> None:
    digests = edited(file, old, new)
    changed = {module.rpartition(".")[2] for module in STAGES if digests[module] != as_it_is[module]}
    assert stages <= changed
    assert bool(changed) == bool(stages)


def test_digests_are_computed_once_per_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "lexveil.pipeline.labels"
    expected = code.code_digest(module)

    def again() -> str:
        code.code_digest.cache_clear()
        return code.code_digest(module)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert again() == expected
    with monkeypatch.context() as patch:
        patch.setattr(code, "_compute_digest", lambda _: pytest.fail("it was computed again"))
        assert again() == expected
    (path,) = (tmp_path / "cache" / "lexveil").iterdir()
    for damaged in ("", "no digest", "another 0"):
        path.write_text(damaged)
        assert again() == expected
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no cache can be written there
    assert again() == expected


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of its own, with one module `lexveil.job`."""
    folder = tmp_path / "lexveil"
    folder.mkdir()
    for name in ("__init__.py", "job.py", "other.py"):
        (folder / name).write_text(f"NAME = {name!r}\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(code, "ROOT", tmp_path)
    clear_caches()
    yield folder
    monkeypatch.undo()
    clear_caches()


def test_a_link_that_leads_nowhere_is_no_file_of_the_package(package: Path) -> None:
    expected = code.code_digest("lexveil.job")
    (package / ".#job.py").symlink_to("somebody@somewhere.1234:1700000000")
    os.mkfifo(package / "pipe.py")
    clear_caches()
    assert code.code_digest("lexveil.job") == expected


def test_a_file_that_is_deleted_meanwhile(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = code.code_digest("lexveil.job")
    clear_caches()
    read = Path.read_bytes

    def read_late(self: Path) -> bytes:
        (package / "other.py").unlink(missing_ok=True)
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", read_late)
    assert code.code_digest("lexveil.job") == expected


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_no_entry(uid: int) -> Any:
        raise KeyError(uid)

    expected = code.code_digest("lexveil.nlp.text")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", find_no_entry)
    code.code_digest.cache_clear()
    assert code.code_digest("lexveil.nlp.text") == expected
    for _ in range(2):
        assert compute_once("key", 2, "float64", lambda: np.array([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert not cache_folder().exists()
    with pytest.raises(WorkspaceError, match="XDG_STATE_HOME"):
        locate_state_folder("endpoints")


def test_what_is_cut_exists_and_has_a_reason() -> None:
    for module, reason in code.CANNOT_CHANGE_A_RESULT.items():
        importlib.import_module(module)
        assert len(reason.split()) >= 3


def test_imports_for_the_type_checker_do_not_count() -> None:
    assert "lexveil.pipeline.stages.train" not in code.import_closure("lexveil.nlp.text")
    assert code.import_closure("lexveil.nlp.text") == {"lexveil.nlp", "lexveil.nlp.text"}


def test_a_source_counts_and_what_is_compiled_from_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation with a compiler and one without go on with each other's runs."""
    folder = tmp_path / "lexveil"
    folder.mkdir()
    for name in ("__init__.py", "one.py", "kernel.c", "kernel-AVX2.so"):
        (folder / name).touch()
    monkeypatch.setattr(code, "ROOT", tmp_path)
    code._find_file.cache_clear()
    try:
        assert [file.name for file in code._list_data_files("lexveil.one")] == ["kernel.c"]
    finally:
        code._find_file.cache_clear()


def test_no_such_module() -> None:
    with pytest.raises(LookupError, match="no module"):
        code.code_digest("nlp.nothing")
