"""Scores of the detector in use: measured on gold, kept, and shown only for what they were measured with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.evaluation import evaluate_gold, store_scores
from lexveil.pipeline.masking.scores import OTHER_DOCUMENTS, collect_scores, compute_scores_digest
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.workspace import Workspace

RULES = Settings.model_validate({"mask": {"detector": "rules"}})
TEXT = "Write to ada.quill@example.org or ring the registry."
SPAN = {"start": 9, "end": 30, "type": "EMAIL"}
MISSED = {"start": 43, "end": 51, "type": "ORGANIZATION"}


@pytest.mark.slow
def test_gold_is_scored_kept_and_shown(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    workspace = Workspace.create_or_open(tmp_path / "w")
    assert collect_scores(workspace.with_settings(RULES))["own"] is None
    before = compute_scores_digest(workspace)
    gold = write_jsonl([{"id": 1, "text": TEXT, "spans": [SPAN, MISSED], "language": "en"}])
    batches: list[int] = []

    def ordered(work, items):  # type: ignore[no-untyped-def]
        for item in items:
            batches.append(len(item))
            yield work(item)

    found = evaluate_gold(gold, RULES.mask, ordered)
    store_scores(workspace.with_settings(RULES), found)
    assert (found["detector"], found["sensitivity"]) == ("rules", "balanced")
    assert (found["n"], found["er_di"], found["er_qi"]) == (1, 1.0, 0.0)
    assert found["by_type"]["EMAIL"] == {"n": 1, "recall": 1.0, "found": 1, "precision": 1.0}
    assert batches == [1]
    assert compute_scores_digest(workspace) != before
    shown = collect_scores(workspace.with_settings(RULES))
    assert shown["note"] == OTHER_DOCUMENTS
    assert shown["own"] is not None
    assert (shown["own"]["n"], shown["own"]["er_di"]) == (1, 1.0)
    assert "ada" not in json.dumps(shown)
    # Another detector, or another operating point, was never measured.
    for mask in ({"detector": "light"}, {"detector": "rules", "preset": "strict"}):
        other = Settings.model_validate({"mask": mask})
        assert collect_scores(workspace.with_settings(other))["own"] is None


def test_scoring_writes_nothing(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    gold = write_jsonl([{"id": 1, "text": TEXT, "spans": []}])
    before = sorted(tmp_path.rglob("*"))
    assert evaluate_gold(gold, RULES.mask)["n"] == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_gold_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"none\.jsonl: the gold file cannot be read: there is no such file"
    ):
        evaluate_gold(tmp_path / "none.jsonl", RULES.mask)
