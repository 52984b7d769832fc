"""The first run: what it would read and spend is shown, and likely mistakes are said before it spends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexveil.nlp import int8
from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.job import run_job
from lexveil.pipeline.reports.preview import preview_run
from lexveil.pipeline.request import make_request, prepare_workspace
from lexveil.pipeline.settings import Settings, load_settings
from lexveil.pipeline.workspace.workspace import Workspace

WriteJsonl = Callable[..., Path]


def records(labeled: bool = True) -> list[dict[str, Any]]:
    rows = [
        {"id": str(n), "text": f"Clause {n}.", "meta": {"client": f"c{n % 3}"}, "matter_id": n}
        for n in range(9)
    ]
    return [{**row, "label": "lease" if n % 2 else "sale"} if labeled else row for n, row in enumerate(rows)]


def contents(folder: Path) -> dict[str, bytes]:
    # SQLite puts two empty helpers next to a table that is only read.
    return {
        str(path): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm"))
    }


def test_a_preview_shows_what_would_be_read_and_spent_and_stores_nothing(
    tmp_path: Path, write_jsonl: WriteJsonl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "explain_absence", lambda: "int8 is not used")
    source = write_jsonl(records())
    settings = load_settings(ingest={"owner_field": "meta.client"}, train={"epsilon": 3.0})
    found = preview_run(tmp_path / "workspace", settings, [source])
    assert (found.files, found.documents, found.owners, found.unit) == (1, 9, 3, "owner")
    assert (found.classes, found.labeled, found.objective) == (2, 9, "classify")
    assert found.fields == {"id": 9, "label": 9, "matter_id": 9, "meta.client": 9, "text": 9}
    assert (found.epsilon, found.spent, found.left) == (3.0, 0.0, 10.0)
    told = [warning.split(":")[0] for warning in found.warnings]
    assert told == ["there are only 3 owners", "int8 is not used"]
    assert not (tmp_path / "workspace").exists()


def test_a_preview_of_a_known_workspace_changes_none_of_its_files(
    tmp_path: Path, write_jsonl: WriteJsonl
) -> None:
    source, settings = write_jsonl(records()), load_settings()
    workspace = prepare_workspace(tmp_path / "workspace", settings, [source], need_labels=True)
    preview_run(workspace.root, settings, [source])  # the first scan derives the key of the source ids
    before = contents(tmp_path)
    assert preview_run(workspace.root, settings, [source]).epsilon == 8.0
    assert contents(tmp_path) == before


def test_what_may_be_a_mistake_is_said(
    tmp_path: Path, write_jsonl: WriteJsonl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "explain_absence", lambda: "")  # whatever this processor can do
    found = preview_run(tmp_path / "workspace", load_settings(), [write_jsonl(records(labeled=False))])
    assert (found.unit, found.objective, found.epsilon) == ("document", None, 0.0)
    assert found.may_name_owners == ("matter_id", "meta.client")
    assert "2 field(s) that may name owners" in found.warnings[0]
    assert "--objective denoise" in found.warnings[1]
    costly = load_settings(train={"epsilon": 12.0})
    refused = preview_run(tmp_path / "workspace", costly, [write_jsonl(records())]).warnings
    assert "the privacy ledger may refuse" in refused[-1]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, True),
        ({"train": {"representation": "embedding"}}, True),
        ({"train": {"representation": "multilingual-1"}}, False),
        ({"mask": {"language": "pl"}}, False),  # a new workspace has the other representation then
        ({"train": {"model": "lstm"}}, False),
    ],
)
def test_another_representation_is_advised_where_most_documents_are_in_other_languages(
    tmp_path: Path, write_jsonl: WriteJsonl, settings: dict[str, Any], told: bool
) -> None:
    polish = "Umowa zostaje zawarta na czas nieokreślony, a każda ze stron może ją zmienić. "
    rows = [{**row, "text": polish + row["text"]} if n > 3 else row for n, row in enumerate(records())]
    warnings = preview_run(tmp_path / "w", load_settings(**settings), [write_jsonl(rows)]).warnings
    assert any("other languages than English and Chinese" in line for line in warnings) == told


def test_a_run_warns_of_fields_that_may_name_owners_and_prints_no_field(
    tmp_path: Path, write_jsonl: WriteJsonl, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_jsonl(records())
    prepare_workspace(tmp_path / "named", load_settings(ingest={"owner_field": "matter_id"}), [source], True)
    assert caplog.messages == []
    prepare_workspace(tmp_path / "unnamed", load_settings(), [source], True)
    (line,) = caplog.messages
    assert "2 field(s) that may name owners" in line
    assert "matter_id" not in line


def test_without_labels_a_run_stops_after_masking_and_charges_nothing(
    tmp_path: Path, write_jsonl: WriteJsonl
) -> None:
    settings = Settings.model_validate({"mask": {"detector": "rules"}})
    workspace = Workspace.create_or_open(tmp_path / "workspace", settings)
    request = make_request(workspace, [write_jsonl(records(labeled=False))])
    with pytest.raises(TrainingRefusedError, match="no document has a label") as refused:
        run_job(workspace, request)
    assert refused.value.exit_code == 2
    assert list(workspace.masked.glob("part-*.parquet"))
    assert not workspace.encoded.exists()
    assert not (workspace.protected / "ledger.sqlite").exists()
    assert json.loads((workspace.masked / "_manifest.json").read_text())["stage"] == "mask"
