"""`lexveil erase`, `restore`, `export` and `quarantine`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from tests.flows.command_line import Lexveil, assert_refused

if TYPE_CHECKING:
    from tests.conftest import Finished


@pytest.fixture
def common(finished: Finished) -> tuple[object, ...]:
    """The options of every command here."""
    return ("-w", finished.workspace.root, "--json")


@pytest.fixture
def doc_id(finished: Finished) -> str:
    """A masked document."""
    part = tables.read_part(next(finished.workspace.masked.glob("part-*")))
    return tables.to_strings(part, "doc_id")[0]


def test_the_quarantine(lexveil: Lexveil, finished: Finished, common: tuple[object, ...]) -> None:
    result = lexveil("quarantine", *common).json
    assert result["quarantined"] == finished.first["quarantined"] == len(result["items"])
    assert all(set(item) == {"item", "reason", "where"} for item in result["items"])


def test_restore_writes_the_original_until_it_is_erased(
    lexveil: Lexveil, finished: Finished, common: tuple[object, ...], doc_id: str, tmp_path: Path
) -> None:
    result = lexveil("restore", doc_id, "out.txt", *common).json
    text = (tmp_path / "out.txt").read_bytes().decode()
    assert result["characters"] == len(text)
    assert "".join(text.split()) in finished.gold
    erased = lexveil("erase", doc_id, *common).json
    assert erased["keys"] == 1 + erased["sources"]
    assert lexveil("restore", doc_id, "again.txt", *common).code == 2
    assert not (tmp_path / "again.txt").exists()
    entries = Workspace.open(finished.workspace.root).log.read()
    by_action = {entry.action: entry for entry in entries if entry.outcome == "done"}
    assert by_action["restore"].facts["doc_id"] == doc_id
    assert by_action["erase"].facts["keys"] == erased["keys"]
    assert any(entry.action == "restore" and entry.outcome.startswith("failed") for entry in entries)


def test_export_writes_what_is_masked_and_the_log_knows(
    lexveil: Lexveil, finished: Finished, common: tuple[object, ...], tmp_path: Path
) -> None:
    result = lexveil("export", "out.jsonl", "--as", "jsonl", "--columns", "doc_id, n_spans", *common).json
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert result["documents"] == len(rows) > 0
    assert [list(row) for row in rows] == [["doc_id", "n_spans"]] * len(rows)
    for arguments, says in (
        (("out.jsonl", "--as", "jsonl"), "--overwrite"),
        (("out", "--as", "docx"), "--originals"),
    ):
        refused = lexveil("export", *arguments, *common)
        assert (refused.code, refused.out) == (2, "")
        assert says in refused.err
    entries = Workspace.open(finished.workspace.root).log.read()
    (entry,) = (entry for entry in entries if entry.action == "export" and entry.outcome == "done")
    assert (entry.facts["kind"], entry.facts["documents"]) == ("jsonl", len(rows))


def test_a_scan_that_still_finds_something_is_exit_code_one(
    lexveil: Lexveil, common: tuple[object, ...], doc_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    def erase(*_: object) -> Any:
        return SimpleNamespace(to_json=lambda: {"keys": 1}, scan=SimpleNamespace(left=("masked",)))

    monkeypatch.setattr("lexveil.pipeline.maintenance.erasure.erase", erase)
    output = lexveil("erase", doc_id, *common)
    assert (output.code, output.json) == (1, {"keys": 1})


def test_what_cannot_be_erased(lexveil: Lexveil, tmp_path: Path) -> None:
    workspace = Workspace.create_or_open(tmp_path / "w")
    _ = workspace.keys
    for words in (["unknown"], ["--owner", "nobody"], [], ["unknown", "--owner", "nobody"]):
        output = lexveil("erase", *words, "-w", "w")
        assert (output.code, output.out, output.err.count("\n")) == (2, "", 1)
    assert_refused(lexveil, tmp_path, "erase", "x", "y", "-w", "w", says="y")
