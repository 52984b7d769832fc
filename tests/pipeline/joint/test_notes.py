"""What an office has noted of a run decides whether it goes on, and under which charge."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lexveil.pipeline.errors import AgreementError
from lexveil.pipeline.joint.notes import RunNotes
from lexveil.pipeline.workspace.storage import write_json


def begin(folder: Path, documents: str = "documents") -> RunNotes:
    folder.mkdir(exist_ok=True)
    notes = RunNotes(folder)
    notes.begin(documents)
    return notes


def test_a_run_that_goes_on_keeps_its_charge_and_one_that_was_forgotten_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = begin(folder).digest("documents")
    assert begin(folder).digest("documents") == first
    shutil.rmtree(folder)
    assert begin(folder).digest("documents") != first


def test_other_documents_do_not_go_on(tmp_path: Path) -> None:
    begin(tmp_path)
    with pytest.raises(AgreementError, match="have changed"):
        begin(tmp_path, "others")


def test_a_training_that_has_ended_is_not_charged_again(tmp_path: Path) -> None:
    begin(tmp_path).note(ended=3)
    with pytest.raises(AgreementError, match="not finite after step 3"):
        begin(tmp_path)


def test_a_run_is_settled_when_every_office_has_said_so(tmp_path: Path) -> None:
    notes = begin(tmp_path)
    assert not notes.is_settled()
    notes.note(settled=True)
    assert notes.is_settled()
    assert begin(tmp_path).is_settled()


def test_a_run_of_an_earlier_version_goes_on_under_its_own_charge(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"run": "documents"})
    notes = begin(tmp_path)
    assert notes.digest("documents") == "documents"
    assert notes.is_settled()
