"""The flow behind `lexveil run`, against a real Prefect server: tasks are shards, nothing is kept there."""

from __future__ import annotations

import base64
import json
import pickle
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.pipeline.errors import BudgetRefusedError
from tests.deadlines import HANGS_AFTER

if TYPE_CHECKING:
    from tests.conftest import Command, PrefectServer

DOCUMENTS, PER_SHARD = 16, 6
SHARDS = 3
RECORDED_WITHIN_SECONDS = HANGS_AFTER


@dataclass(frozen=True)
class Ran:
    """One workspace: first refused by a ledger, then carried out, then asked for again."""

    command: Any
    server: Any
    workspace: Path
    refused: CompletedProcess[str]
    done: CompletedProcess[str]
    again: CompletedProcess[str]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        path = self.server.home / "prefect.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def flow_runs(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(id, state, parameters) of the runs of this workspace, in order."""
        found = self.rows("select id, state_type, parameters from flow_run order by start_time")
        runs = [(name, state, json.loads(parameters)) for name, state, parameters in found]
        return [run for run in runs if run[2].get("workspace") == str(self.workspace)]

    def tasks(self, flow_run: str, expected: int) -> Counter[tuple[str, str]]:
        """(stage, state) of a run's tasks. The server records them a little later than they happen."""
        deadline = time.monotonic() + RECORDED_WITHIN_SECONDS
        while True:
            found = self.rows(f"select name, state_type from task_run where flow_run_id = '{flow_run}'")
            ended = [state in ("COMPLETED", "FAILED") for _, state in found]
            if (len(found) >= expected and all(ended)) or time.monotonic() > deadline:
                return Counter((name.rpartition("-")[0], state) for name, state in found)
            time.sleep(0.2)


@pytest.fixture(scope="module")
def ran(
    tmp_path_factory: pytest.TempPathFactory,
    command_in: Callable[[Path], Command],
    prefect_server: PrefectServer,
) -> Ran:
    from fixtures.generate import generate

    folder = tmp_path_factory.mktemp("flow")
    generate(folder / "generated", DOCUMENTS, 5, "jsonl")
    command = command_in(folder)
    request = ["run", folder / "generated" / "corpus", "--owner-field", "owner", "-w", folder / "workspace"]
    settings = {
        "PREFECT_API_URL": prefect_server.url,
        "LEXVEIL_INGEST__SHARD_DOCUMENTS": str(PER_SHARD),
        "LEXVEIL_MASK__DETECTOR": "rules",
        "LEXVEIL_ENCRYPTED__SAMPLE": "4",
    }
    small = {
        "LEXVEIL_LEDGER__URL": f"sqlite:///{folder / 'small.sqlite'}",
        "LEXVEIL_LEDGER__LIMIT_EPSILON": "1",
    }
    refused = command.run(*request, **settings, **small)
    done = command.run(*request, **settings)
    again = command.run(*request, "--json", **settings)
    return Ran(command, prefect_server, folder / "workspace", refused, done, again)


def test_a_refusal_of_the_ledger_keeps_its_exit_code_and_its_line(ran: Ran) -> None:
    assert ran.refused.returncode == 3
    errors = [line for line in ran.refused.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: the privacy ledger refuses")
    assert ran.refused.stdout == ""


def test_tasks_are_shards_and_whole_stages(ran: Ran) -> None:
    (first, first_state, _), (second, second_state, _) = ran.flow_runs()
    assert (first_state, second_state) == ("FAILED", "COMPLETED")
    stages = ("ingest", "find", "mask", "encode-embedding")
    assert ran.tasks(first, 4 * SHARDS + 2) == {
        **{(stage, "COMPLETED"): SHARDS for stage in stages},
        ("names", "COMPLETED"): 1,  # of the classes, by a worker that has the detector
        ("train", "FAILED"): 1,
    }
    # What the refused run has finished is no task of the next.
    assert ran.tasks(second, SHARDS + 2) == {
        ("train", "COMPLETED"): 1,
        ("extract", "COMPLETED"): SHARDS,
        ("evaluate", "COMPLETED"): 1,
    }


def test_the_job_ends_with_a_report_and_tells_its_progress(ran: Ran) -> None:
    assert ran.done.returncode == 0, ran.done.stderr
    result = json.loads((ran.workspace / "runs" / "last.json").read_text())["result"]
    assert (result["ingested"], result["masked"], result["feature_rows"]) == (DOCUMENTS,) * 3
    assert Path(result["report"]).is_file()
    assert ran.done.stdout.splitlines()[-1] == f"Report: {result['report']}"
    for stage in ("train", "extract", "evaluate"):
        assert stage in ran.done.stderr


def test_asked_again_it_says_that_nothing_changed_and_starts_no_flow(ran: Ran) -> None:
    assert ran.again.returncode == 0
    (line,) = ran.again.stdout.splitlines()
    assert json.loads(line)["changed"] is False
    assert len(ran.flow_runs()) == 2


def test_the_server_that_is_named_is_used_and_no_other_is_started(ran: Ran) -> None:
    assert len(ran.flow_runs()) == 2
    assert not (ran.command.prefect_home / "prefect.db").exists()


def test_a_flow_knows_a_path_and_an_id_and_nothing_else(ran: Ran) -> None:
    for _, _, parameters in ran.flow_runs():
        assert parameters.keys() == {"workspace", "run_id"}


def test_prefect_keeps_no_result_and_of_a_failure_only_the_sealed_error(ran: Ran) -> None:
    """Prefect would keep results as readable pickles; a failed flow's exception it keeps anyway."""
    kept = [path for path in (ran.command.prefect_home / "storage").rglob("*") if path.is_file()]
    errors = [pickle.loads(base64.b64decode(path.read_bytes())) for path in kept]
    assert {type(error) for error in errors} <= {BudgetRefusedError}
    assert all(f"error: {error}" in ran.refused.stderr for error in errors)
    names = {path.name for path in kept}
    # An artifact without a key is Prefect's note of where such an error lies.
    assert ran.rows("select key from artifact where key is not null") == []
    for table in ("artifact", "flow_run_state", "task_run_state"):
        for (data,) in ran.rows(f"select data from {table} where data is not null"):
            place = Path((json.loads(data) or {}).get("storage_key", ran.command.prefect_home))
            if place.is_relative_to(ran.command.prefect_home / "storage"):
                assert place.name in names
