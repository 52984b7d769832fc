"""The main job, without a scheduler: what it says, what it leaves, and that a second run knows the first."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.counting import Counting
from lexveil.pipeline.errors import BudgetRefusedError
from lexveil.pipeline.job import run_job
from lexveil.pipeline.records import Shard, ShardResult, Work
from lexveil.pipeline.request import find_reusable_result, make_request, read_request, submit_request
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.features import find_current_features

if TYPE_CHECKING:
    from tests.conftest import Finished

# The fields that the command line promises.
PROMISED = {
    "run_id", "ingested", "duplicates", "quarantined", "masked", "spans_by_type", "model", "epsilon", "delta",
    "unit", "features", "report", "encrypted",
}  # fmt: skip


@pytest.fixture
def sources(finished: Finished, tmp_path: Path) -> list[Path]:
    """A copy of the corpus below which things may change; the workspace has seen it."""
    moved = shutil.copytree(finished.sources[0], tmp_path / "corpus")
    return [moved]


class TestJson:
    def test_every_promised_field_is_filled(self, finished_once: Finished) -> None:
        first = finished_once.first
        assert set(first) >= PROMISED
        assert [name for name in PROMISED if first[name] is None] == []
        assert set(first["encrypted"]) == {"documents", "agreement", "max_error"}
        assert first["ingested"] == first["masked"] == first["feature_rows"]
        assert first["unit"] == "owner"
        assert 7.9 < first["epsilon"] <= 8

    def test_it_is_json_that_any_parser_reads(self, finished_once: Finished) -> None:
        def no_constant(name: str) -> None:
            raise ValueError(name)

        text = (finished_once.workspace.runs / finished_once.first["run_id"] / "run.json").read_text()
        assert json.loads(text, parse_constant=no_constant)["run_id"] == finished_once.first["run_id"]

    def test_what_was_spent(self, finished_once: Finished) -> None:
        spent = finished_once.first["spent"]
        assert [(epsilon, state) for _, epsilon, state in spent["runs"]] == [
            (finished_once.first["epsilon"], "committed")
        ]
        assert spent["total"] <= spent["limit"]

    def test_the_report_is_one_file_on_its_own(self, finished_once: Finished) -> None:
        report = Path(finished_once.first["report"]).read_text(encoding="utf-8")
        assert 'src="http' not in report
        assert 'href="http' not in report

    def test_neither_json_nor_report_names_anybody(self, finished_once: Finished) -> None:
        run = finished_once.workspace.runs / finished_once.first["run_id"]
        shown = "".join(path.read_text(encoding="utf-8") for path in run.iterdir())
        names = {span["text"] for row in finished_once.gold.values() for span in row["spans"]}
        assert [name for name in names if len(name) > 8 and name in shown] == []
        assert not [row for row in finished_once.gold.values() if row["owner"] in shown or row["id"] in shown]


class TestAgain:
    def test_the_same_over_the_same_files_is_unchanged(self, finished: Finished) -> None:
        request = make_request(finished.workspace.with_settings(finished.settings), finished.sources)
        found = find_reusable_result(finished.workspace, request)
        assert found == {**finished.first, "changed": False}

    def test_run_anyway_it_does_no_shard_and_spends_nothing(self, finished: Finished) -> None:
        each = Counting()
        request = make_request(finished.workspace.with_settings(finished.settings), finished.sources)
        result = run_job(finished.workspace, request, each)
        assert each.done == []
        assert not result["trained_now"]
        same = PROMISED - {"run_id", "features", "report", "encrypted"}
        assert {name: result[name] for name in same} == {name: finished.first[name] for name in same}
        assert json.loads(json.dumps(result["spent"])) == finished.first["spent"]

    def test_files_added_changed_and_touched(self, finished: Finished, sources: list[Path]) -> None:
        workspace, settings = finished.workspace, finished.settings

        def ask() -> Any:
            return find_reusable_result(workspace, make_request(workspace.with_settings(settings), sources))

        def again(each: Counting) -> dict[str, Any]:
            return run_job(workspace, make_request(workspace.with_settings(settings), sources), each)

        assert ask() is None  # the same files elsewhere are other files, though their documents are known
        first = again(Counting())
        assert first["ingested"] == finished.first["ingested"]
        assert ask()["changed"] is False
        os.utime(sources[0] / "records" / "matters.csv", (1, 1))
        assert ask()["changed"] is False
        added = sources[0] / "records" / "zz.jsonl.gz"
        line = json.dumps({"text": "The lessee shall pay.", "owner": "new", "label": "contract"})
        added.write_bytes(gzip.compress(line.encode()))
        assert ask() is None
        each = Counting()
        second = again(each)
        assert second["ingested"] == first["ingested"] + 1
        assert second["feature_rows"] == second["ingested"]
        assert not second["trained_now"]  # new documents alone spend nothing
        assert second["spent"] == first["spent"]
        assert {stage for stage, _ in each.done} == {"ingest", "find", "mask", "encode-embedding", "extract"}
        assert len(each.done) == 5  # one shard through all five
        added.write_bytes(gzip.compress(line.replace("lessee", "lessor").encode()))
        assert ask() is None
        assert again(Counting())["ingested"] == second["ingested"]

    def test_a_lost_part_is_noticed(self, finished: Finished) -> None:
        next(iter(find_current_features(finished.workspace).glob("part-*"))).unlink()
        request = make_request(finished.workspace.with_settings(finished.settings), finished.sources)
        assert find_reusable_result(finished.workspace, request) is None

    def test_other_settings_are_another_request(self, finished: Finished) -> None:
        settings = finished.settings.model_copy(
            update={"train": finished.settings.train.model_copy(update={"epsilon": 9.0})}
        )
        request = make_request(finished.workspace.with_settings(settings), finished.sources)
        assert find_reusable_result(finished.workspace, request) is None
        with pytest.raises(BudgetRefusedError):
            run_job(finished.workspace, request)

    def test_other_workers_are_the_same_request(self, finished: Finished) -> None:
        settings = finished.settings.model_copy(update={"workers": 3})
        assert find_reusable_result(
            finished.workspace, make_request(finished.workspace.with_settings(settings), finished.sources)
        )


class Killed(BaseException):
    pass


class TestKilled:
    @pytest.mark.parametrize("after", range(0, 12, 2))
    def test_it_goes_on_where_it_was(self, finished: Finished, after: int) -> None:
        workspace, settings = finished.workspace, finished.settings
        for folder in (workspace.raw, workspace.masked, workspace.features):
            shutil.rmtree(folder)
        each, killing = Counting(), Counting()

        def kill(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
            for result in killing(stage, work, shards):
                if len(killing.done) > after:
                    raise Killed
                yield result

        asked = make_request(workspace.with_settings(settings), finished.sources)
        submit_request(workspace, asked)
        try:
            run_job(workspace, asked, kill)
        except Killed:
            assert read_request(workspace, asked.run_id) == asked
        resumed = make_request(workspace.with_settings(settings), finished.sources)
        result = run_job(workspace, resumed, each)
        assert len(set(killing.done + each.done)) == len(killing.done + each.done)
        assert result["ingested"] == finished.first["ingested"]
        assert result["spans_by_type"] == finished.first["spans_by_type"]
        assert result["spent"]["total"] == finished.first["spent"]["total"]

    def test_a_killed_run_keeps_its_id(self, finished: Finished) -> None:
        first = make_request(finished.workspace.with_settings(finished.settings), [])
        submit_request(finished.workspace, first)
        assert make_request(finished.workspace.with_settings(finished.settings), []) == first
        other = make_request(finished.workspace.with_settings(finished.settings), finished.sources)
        assert other.run_id != first.run_id
        submit_request(finished.workspace, other)
        with pytest.raises(LookupError):
            read_request(finished.workspace, first.run_id)


def test_the_ledger_is_intact(finished_once: Finished) -> None:
    ledger, _ = open_ledger(finished_once.workspace.with_settings(finished_once.settings))
    try:
        assert ledger.verify().ok
        assert ledger.verify().head == finished_once.first["spent"]["head"]
    finally:
        ledger.close()
