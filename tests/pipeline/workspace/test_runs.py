"""Records of runs: what is written is read back with its types, also what earlier versions wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.pipeline.workspace.runs import (
    BatchRecord,
    FeatureDistance,
    LastRun,
    LedgerState,
    RunRecord,
    read_last_run,
    read_run,
    run_path,
    write_last_run,
    write_run,
)

BATCH: dict[str, Any] = {
    "documents": 3,
    "owners": 2,
    "rates": {"PERSON": [7, 1.5], "quarantined": [0, 1.0]},
    "unlike": ["PERSON", "features"],
    "until": 1700000000.25,
    "quarantine": 4,
    "recipe": "0" * 32,
    "expected": {"PERSON": [2.0, 1.0, 3.0]},
    "distance": {"value": 0.1, "p": 0.01, "limit": 0.05},
}
RUN: dict[str, Any] = {
    "run_id": "20260101T020000Z-00aa",
    "started": "2026-01-01T02:00:00.000+00:00",
    "finished": "2026-01-01T02:01:00.000+00:00",
    "ingested": 10,
    "duplicates": 1,
    "quarantined": 2,
    "quarantine": {"empty": 2},
    "masked": 9,
    "spans_by_type": {"PERSON": 7},
    "verdicts": {"PASS": 8, "REVIEW": 1},
    "model": "linear-1",
    "trained_now": True,
    "epsilon": 8.0,
    "delta": 1e-5,
    "unit": "owner",
    "feature_rows": 9,
    "utility": None,
    "encrypted": {"documents": 4, "agreement": 1.0, "max_error": 0.001},
    "features": "/w/features/current",
    "report": "/w/runs/20260101T020000Z-00aa/report.html",
    "seconds": {"ingest": 0.5, "mask": 2.0},
    "redone": {"mask": "1 of 2 shards redone: the settings changed"},
    "changed": True,
    "spent": {"population": "default", "unit": "owner", "total": 8.0, "limit": 10.0, "delta": 1e-5},
    "batch": BATCH,
}


@pytest.fixture
def paths(tmp_path: Path) -> WorkspacePaths:
    return WorkspacePaths(tmp_path, "0a")


def test_every_field_comes_back(paths: WorkspacePaths) -> None:
    write_run(paths, RUN["run_id"], RUN)
    record = read_run(paths, RUN["run_id"])
    assert record is not None
    plain = set(RUN) - {"spent", "batch", "finished"}
    assert {name: getattr(record, name) for name in plain} == {name: RUN[name] for name in plain}
    assert record.ledger == LedgerState("default", 8.0, 10.0)
    assert record.data == RUN


def test_the_file_is_plain_json_with_sorted_keys(paths: WorkspacePaths) -> None:
    write_run(paths, RUN["run_id"], RUN)
    path = run_path(paths, RUN["run_id"])
    assert path == paths.runs / RUN["run_id"] / "run.json"
    assert path.read_text() == json.dumps(RUN, indent=1, sort_keys=True) + "\n"


def test_a_run_that_has_not_finished(paths: WorkspacePaths) -> None:
    assert read_run(paths, "none") is None
    run_path(paths, "none").parent.mkdir(parents=True)
    run_path(paths, "none").write_text('{"run_id": "no')
    assert read_run(paths, "none") is None


class TestBatch:
    def test_it_is_read_with_its_types(self) -> None:
        batch = RunRecord(RUN).batch
        assert batch.rates == {"PERSON": (7, 1.5), "quarantined": (0, 1.0)}
        assert batch.unlike == frozenset({"PERSON", "features"})
        assert batch.expected == {"PERSON": (2.0, 1.0, 3.0)}
        assert batch.distance == FeatureDistance(0.1, 0.01, 0.05)
        assert (batch.documents, batch.owners, batch.until, batch.quarantine) == (3, 2, 1700000000.25, 4)

    def test_a_distance_that_was_not_measured(self) -> None:
        assert BatchRecord.from_json({**BATCH, "distance": None}).distance is None

    @pytest.mark.parametrize("field", ["rates", "expected", "until", "recipe", "distance"])
    def test_a_field_that_is_missing_is_not_guessed(self, field: str) -> None:
        with pytest.raises(KeyError, match=field):
            BatchRecord.from_json({name: value for name, value in BATCH.items() if name != field})


class TestEarlierVersions:
    def test_nothing_was_redone(self) -> None:
        assert RunRecord({name: value for name, value in RUN.items() if name != "redone"}).redone == {}

    def test_batches_were_unknown(self) -> None:
        assert RunRecord(RUN).has_batch
        assert not RunRecord({name: value for name, value in RUN.items() if name != "batch"}).has_batch

    def test_what_is_unknown_here_is_kept(self, paths: WorkspacePaths) -> None:
        write_run(paths, "id", {**RUN, "of_a_later_version": [1, 2]})
        record = read_run(paths, "id")
        assert record is not None
        assert record.data["of_a_later_version"] == [1, 2]


class TestLast:
    def test_it_comes_back(self, paths: WorkspacePaths) -> None:
        assert read_last_run(paths) is None
        last = LastRun("digest", "state", RunRecord(RUN))
        write_last_run(paths, last)
        assert read_last_run(paths) == last

    def test_the_fields_of_its_file(self, paths: WorkspacePaths) -> None:
        write_last_run(paths, LastRun("d", "s", RunRecord(RUN)))
        content = json.loads((paths.runs / "last.json").read_text())
        assert content == {"digest": "d", "state": "s", "result": RUN}


def test_reprs_show_no_figures() -> None:
    assert "8.0" not in repr(RunRecord(RUN))


def test_what_the_main_job_wrote(finished_once: Any) -> None:
    record = read_run(finished_once.workspace, finished_once.first["run_id"])
    last = read_last_run(finished_once.workspace)
    assert record is not None
    assert last is not None
    assert last.record.data == record.data == finished_once.first
    assert record.batch.documents == record.masked
    assert record.ledger.total == pytest.approx(record.epsilon)
    assert set(record.seconds) >= {"ingest", "mask", "train", "extract", "evaluate"}
