"""Promise: kill -9 at any moment, then the same command: the same tables, nothing done twice, charged once.

More kills, other seeds or real input: `python -m benchmarks.kill_and_resume --help`, or the variables
KILLS and KILL_SEED for this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.kill_and_resume import MARK, marked, parts, settled
from tests.deadlines import HANGS_AFTER

if TYPE_CHECKING:
    from tests.conftest import Command, PrefectServer

ROOT = Path(__file__).parents[2]
KILLS = os.environ.get("KILLS", "10")
SEED = os.environ.get("KILL_SEED", "7")
GONE_WITHIN_SECONDS = HANGS_AFTER


@pytest.fixture(scope="module")
def experiment() -> dict[str, Any]:
    """The job with its pool of workers, killed at random moments, three of them inside the training."""
    command = [sys.executable, "-m", "benchmarks.kill_and_resume", "--json", "--kills", KILLS, "--seed", SEED]
    size = ["--documents", "32", "--shard-documents", "4", "--in-training", "3", "--steps", "30"]
    size += ["--detector", "rules"]  # what finds names is no part of the promise
    done = subprocess.run([*command, *size], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["details"]


def test_every_kill_hits_a_running_job(experiment: dict[str, Any]) -> None:
    killed = experiment["killed"]
    assert [kill["code"] for kill in killed["kills"]] == [-9] * int(KILLS)
    assert killed["code"] == experiment["undisturbed"]["code"] == 0
    # The moments are spread over the run: some parts stood, some didn't.
    standing = [kill["settled"] for kill in killed["kills"]]
    assert standing == sorted(standing)
    assert standing[0] < standing[-1]


def test_the_outcome_is_that_of_an_undisturbed_run(experiment: dict[str, Any]) -> None:
    assert experiment["different"] == []
    assert experiment["found"]["models"] == experiment["expected"]["models"]
    assert len(experiment["found"]["models"]) == 1


def test_no_finished_shard_is_done_again(experiment: dict[str, Any]) -> None:
    assert experiment["killed"]["rewritten"] == []


def test_the_run_is_charged_once(experiment: dict[str, Any]) -> None:
    expected, found = experiment["expected"], experiment["found"]
    assert found["ledger_entries"] == expected["ledger_entries"] == ["limit", "reserve", "commit"]
    assert found["ledger_total"] == expected["ledger_total"]
    assert found["ledger_intact"]


def test_the_command_itself_goes_on_where_it_was(
    tmp_path: Path, command_in: Callable[[Path], Command], prefect_server: PrefectServer
) -> None:
    """`lexveil run`, Prefect included: its workers and its own server leave with it."""
    from fixtures.generate import generate

    generate(tmp_path / "generated", 12, 5, "jsonl")
    command = command_in(tmp_path)
    workspace = tmp_path / "workspace"
    request = ["run", tmp_path / "generated" / "corpus", "-w", workspace, "--json"]
    small = {"LEXVEIL_INGEST__SHARD_DOCUMENTS": "2", "LEXVEIL_MASK__DETECTOR": "rules"}
    settings = {**small, MARK: tmp_path.name}
    process = command.start(*request, **settings)
    server: list[int] = []
    while process.poll() is None:
        there = parts(workspace)
        if any(name.startswith("masked") for name in there):
            break
        if there and not server:  # not after the first masked part: the others would soon stand, too
            server = _children(process.pid, "uvicorn")
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9
    assert server, "the run had a server of its own"
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    while marked(tmp_path.name) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked(tmp_path.name) == []

    before = settled(workspace)
    assert 0 < sum(name.startswith("masked") for name in before) < 6
    again = command.run(*request, **settings, PREFECT_API_URL=prefect_server.url)
    assert again.returncode == 0, again.stderr
    after = settled(workspace)
    assert {name: after.get(name) for name in before} == before
    result = json.loads(again.stdout)
    assert (result["ingested"], result["masked"], result["feature_rows"]) == (12, 12, 12)
    assert len(result["spent"]["runs"]) == 1
    assert not (workspace / "protected" / "pending.json").exists()


def _children(parent: int, word: str) -> list[int]:
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            about = (place / "stat").read_text().rpartition(")")[2].split()
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if int(about[1]) == parent and word.encode() in command:
            found.append(int(place.name))
    return found
