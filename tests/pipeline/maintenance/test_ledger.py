"""Views of the ledger: totals and limits as numbers, and an export that is checked without the database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lexveil.pipeline.errors import BudgetRefusedError, SettingsError, SourceError
from lexveil.pipeline.maintenance.ledger import (
    export_ledger,
    open_ledger_for_reading,
    set_limit,
    summarize_ledger,
    verify_export,
    verify_ledger,
)
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.ledger.ledger import Charge, Population

DELTA = 1e-5
CHARGE = Charge(8.0, 0.2, 100)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose ledger has a committed and an open run."""
    workspace = Workspace.create_or_open(tmp_path / "workspace")
    owners = Population("default", unit="owner")
    with open_ledger_for_reading(workspace) as ledger:
        ledger.set_limit(owners, 3.0, DELTA)
        ledger.commit(ledger.reserve(owners, CHARGE, "a", b"wrapped").id, 100)
        ledger.reserve(owners, Charge(8.0, 0.2, 50), "b")
    return workspace


@pytest.fixture
def exported(workspace: Workspace, tmp_path: Path) -> Path:
    export_ledger(workspace, tmp_path / "ledger.json")
    return tmp_path / "ledger.json"


def test_the_summary_has_totals_and_runs(workspace: Workspace) -> None:
    summary = summarize_ledger(workspace)
    (population,) = summary["populations"]
    assert (population["population"], population["unit"]) == ("default", "owner")
    assert (population["limit"], population["delta"]) == (3.0, DELTA)
    assert population["left"] == pytest.approx(3.0 - population["spent"])
    first, second = summary["runs"]
    assert (first["state"], first["steps"], first["charged_steps"]) == ("committed", 100, 100)
    assert (second["state"], second["steps"]) == ("open", 50)
    assert first["epsilon"] == pytest.approx(CHARGE.epsilon(DELTA))
    assert population["spent"] > max(first["epsilon"], second["epsilon"])
    assert "wrapped" not in json.dumps(summary)


def test_a_workspace_that_was_never_trained_on_has_an_empty_ledger(tmp_path: Path) -> None:
    workspace = Workspace.create_or_open(tmp_path / "empty")
    assert summarize_ledger(workspace) == {"populations": [], "schedules": [], "runs": []}
    verified = verify_ledger(workspace)
    assert (verified["intact"], verified["entries"], verified["totals"]) == (True, 0, [])


def test_a_limit_holds_for_every_unit_of_the_population(workspace: Workspace) -> None:
    with open_ledger_for_reading(workspace) as ledger:
        ledger.set_limit(Population("default", unit="document"), 3.0, DELTA)
        ledger.set_limit(Population("another", unit="owner"), 3.0, DELTA)
    shown = set_limit(workspace, 5.5)["populations"]
    limits = {(one["population"], one["unit"]): one["limit"] for one in shown}
    assert limits == {("default", "owner"): 5.5, ("default", "document"): 5.5, ("another", "owner"): 3.0}


def test_a_limit_can_be_set_before_the_first_run(tmp_path: Path) -> None:
    settings = Settings.model_validate({"ledger": {"population": "court"}})
    workspace = Workspace.create_or_open(tmp_path / "new", settings)
    (shown,) = set_limit(workspace, 2.0)["populations"]
    assert (shown["population"], shown["limit"], shown["spent"], shown["left"]) == ("court", 2.0, 0.0, 2.0)


@pytest.mark.parametrize("epsilon", [0.0, -1.0])
def test_a_limit_that_is_not_positive_is_refused_and_nothing_changes(
    workspace: Workspace, epsilon: float
) -> None:
    before = verify_ledger(workspace)
    with pytest.raises(SettingsError):
        set_limit(workspace, epsilon)
    assert verify_ledger(workspace) == before


def test_a_head_that_was_kept_is_found_again(workspace: Workspace) -> None:
    head = verify_ledger(workspace)["head"]
    set_limit(workspace, 4.0)
    assert verify_ledger(workspace)["head"] != head
    assert verify_ledger(workspace, head)["intact"]
    assert not verify_ledger(workspace, "0" * 64)["intact"]


def test_an_export_says_what_the_ledger_says(workspace: Workspace, exported: Path) -> None:
    verified = verify_ledger(workspace)
    again = verify_export(exported, verified["head"])
    assert again.pop("claims_hold")
    assert again | {"missing_charges": 0} == verified
    assert b"wrapped" not in exported.read_bytes()


def test_an_export_whose_entry_was_changed_is_found_out(exported: Path) -> None:
    text = exported.read_text()
    assert "0.2" in text
    exported.write_text(text.replace("0.2", "0.1"))
    assert not verify_export(exported)["intact"]


def test_another_head_than_the_exported_one(exported: Path) -> None:
    assert not verify_export(exported, "0" * 64)["intact"]


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"entries": 3}'])
def test_a_file_that_is_no_export(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match="is not a ledger export of this version"):
        verify_export(path)


def test_files_that_cannot_be_read_or_written_are_one_line(tmp_path: Path, workspace: Workspace) -> None:
    missing = tmp_path / "none" / "ledger.json"
    with pytest.raises(SettingsError, match="cannot read"):
        verify_export(missing)
    for target in (missing, tmp_path):
        with pytest.raises(SourceError, match="cannot write"):
            export_ledger(workspace, target)


def test_a_ledger_that_is_no_database_is_refused(workspace: Workspace) -> None:
    (path,) = workspace.root.rglob("ledger.sqlite")
    for leftover in path.parent.glob("ledger.sqlite-*"):
        leftover.unlink()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(BudgetRefusedError, match="the privacy ledger refuses"):
        summarize_ledger(Workspace.open(workspace.root))
