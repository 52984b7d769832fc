"""Dask and Ray carry out the shards of a flow: the same tables, the dead replaced, nothing left or shown."""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lexveil.flows.runners import order
from lexveil.flows.runners import tasks as runners
from lexveil.pipeline.errors import SettingsError, StageError, WorkspaceKeyError
from lexveil.pipeline.records import Shard, ShardResult
from lexveil.pipeline.settings import Settings
from tests.deadlines import HANGS_AFTER

if TYPE_CHECKING:
    from tests.conftest import Command, PrefectServer

DOCUMENTS, PER_SHARD = 12, 4
PASSWORD = "Wharfinger-9QX-Canary"
SETTINGS: dict[str, Any] = {
    "ingest": {"owner_field": "owner", "shard_documents": PER_SHARD},
    "mask": {"detector": "rules"},
    "ledger": {"url": f"postgresql://lexveil:{PASSWORD}@nowhere.invalid/ledger"},
}
GONE_SECONDS = HANGS_AFTER

SCRIPT = """
import functools, json, os, sys, threading, time
from pathlib import Path

from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

keep_model_libraries_out_of_presidio()  # as the command does
import runner_work
from lexveil.flows.main import run_as_task
from lexveil.flows.runners.tasks import shard_tasks
from prefect import flow
from lexveil.pipeline.errors import LexveilError
from lexveil.pipeline.logs import seal_errors
from lexveil.pipeline.records import Shard
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.workspace import Workspace


@flow(name="runner", log_prints=False, persist_result=False)
@seal_errors("run")
def job(folder: str) -> None:
    here = Path(folder)
    results = {}
    with shard_tasks(settings) as each:
        workspace = Workspace.open(here / "workspace", settings)
        ingest(workspace, [Path(sys.argv[3])], each)
        results["masked"] = mask(workspace, each).rows
        shards = [Shard(index, f"key{index}") for index in range(4)]
        found = list(each("die", functools.partial(runner_work.die_once, str(here)), shards))
        results["after_death"] = sorted(result.rows for result in found)
        results["workers"] = sorted({result.digest for result in found})
        try:
            list(each("refuse", functools.partial(runner_work.refuse, str(here)), shards[:1]))
        except LexveilError as error:
            results["refused"] = [type(error).__name__, str(error)]
        lock = threading.Lock()  # as a task of ours has, and no cluster can receive

        def inside():
            with lock:
                return list(each("inside", runner_work.double, shards))

        results["inside"] = sorted(result.rows for result in run_as_task("outer", inside))
        print(json.dumps(results), flush=True)
        list(each("hang", runner_work.hang, shards[:2]))


if __name__ == "__main__":
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    job(sys.argv[2])
"""

WORK = """
import os, signal, time
from pathlib import Path

from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.records import ShardResult


def double(shard):
    return ShardResult(shard.index, shard.key, 2 * shard.index, str(os.getpid()), {})


def die_once(folder, shard):
    flag = Path(folder) / f"died-{shard.index}"
    if shard.index == 1 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return double(shard)


def refuse(folder, shard):
    with (Path(folder) / "refusals").open("a") as log:
        log.write("x")
    raise WorkspaceKeyError("no key for this shard")


def hang(shard):
    time.sleep(600)
"""


EXTERNAL = """
import json

import runner_work
from dask.distributed import LocalCluster
from lexveil.flows.runners.tasks import shard_tasks
from prefect import flow
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.logs import seal_errors
from lexveil.pipeline.records import Shard
from lexveil.pipeline.settings import Settings


@flow(name="external", log_prints=False, persist_result=False)
@seal_errors("run")
def job(address: str) -> list[int]:
    settings = Settings.model_validate({"runner": "dask", "runner_address": address})
    with shard_tasks(settings) as each:
        return sorted(result.rows for result in each("double", runner_work.double, shards))


if __name__ == "__main__":
    shards = [Shard(index, f"key{index}") for index in range(4)]
    results = {}
    for threads in (1, 2):
        with LocalCluster(
            n_workers=1, threads_per_worker=threads, host="127.0.0.1", dashboard_address=None
        ) as cluster:
            try:
                results[threads] = job(cluster.scheduler_address)
            except SettingsError as error:
                results[threads] = str(error)
            results["stayed"] = len(cluster.scheduler_info["workers"])
    print(json.dumps(results), flush=True)
"""


@dataclass(frozen=True)
class Ran:
    """A flow on a cluster, then killed while its workers were at work."""

    folder: Path
    temporary: Path
    results: dict[str, Any]
    server: Any
    descendants: list[int]
    errors: str

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"


def masked(workspace: Path) -> list[tuple[Any, ...]]:
    from lexveil.pipeline.workspace.tables import read_part

    parts = sorted((workspace / "masked").glob("part-*.parquet"))
    return [tuple(row.values()) for part in parts for row in read_part(part).to_pylist()]


def digests(workspace: Path) -> list[str]:
    from lexveil.pipeline.workspace.shards import read_manifest
    from lexveil.pipeline.workspace.workspace import Workspace

    return [shard.digest for shard in read_manifest(Workspace.open(workspace).masked, "mask").shards]


def descendants_of(process: int) -> list[int]:
    found = [process]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found.extend(map(int, children.read_text().split()))
    return found[1:]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def works(process: int) -> bool:
    """True if it is alive and none of the two agents of Ray that hold nothing and end after a minute of
    trying to report the end of the others.
    """
    try:
        command = Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False
    return alive(process) and not command.startswith(("ray::DashboardAgent", "ray::RuntimeEnvAgent"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, and a workspace that was only just laid out, so that all copies have the same keys."""
    from fixtures.generate import generate
    from lexveil.pipeline.workspace.workspace import Workspace

    folder = tmp_path_factory.mktemp("base")
    generate(folder / "generated", DOCUMENTS, 5, "jsonl")
    (folder / "generated" / "corpus").rename(folder / "corpus")
    shutil.rmtree(folder / "generated")
    settings = Settings.model_validate(SETTINGS)
    Workspace.create_or_open(folder / "workspace", settings).keys.purpose_key("pseudonyms")
    return folder


@pytest.fixture(scope="module")
def alone(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same work in this process, shard by shard."""
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.workspace.workspace import Workspace

    root = tmp_path_factory.mktemp("alone") / "workspace"
    shutil.copytree(base / "workspace", root)
    workspace = Workspace.open(root, Settings.model_validate(SETTINGS))
    ingest(workspace, [base / "corpus"])
    mask(workspace)
    return root


@pytest.fixture(scope="module", params=["dask", "ray"])
def ran(
    request: pytest.FixtureRequest,
    base: Path,
    tmp_path_factory: pytest.TempPathFactory,
    command_in: Callable[[Path], Command],
    prefect_server: PrefectServer,
) -> Iterator[Ran]:
    pytest.importorskip(f"prefect_{request.param}")
    folder = tmp_path_factory.mktemp("runner")
    shutil.copytree(base / "workspace", folder / "workspace")
    (folder / "runner_work.py").write_text(WORK)
    (folder / "job.py").write_text(SCRIPT)
    command = command_in(folder)
    settings = {**SETTINGS, "runner": request.param, "workers": 2}
    # Ray's sockets lie below its temporary folder, and their paths have 107 characters at most.
    temporary = Path(tempfile.mkdtemp(prefix="lxv", dir="/tmp"))
    environment = command.environment(PREFECT_API_URL=prefect_server.url, TMPDIR=str(temporary))
    environment["PYTHONPATH"] += f"{os.pathsep}{folder}"
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, folder / "job.py", json.dumps(settings), folder, base / "corpus"],
            env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            lines = iter(process.stdout.readline, "")
            results = next((json.loads(line) for line in lines if line.startswith("{")), None)
            descendants = descendants_of(process.pid)
        finally:
            process.kill()
            process.wait()
    text = (folder / "stderr").read_text()
    assert results is not None, text
    yield Ran(folder, temporary, results, prefect_server, descendants, text)
    shutil.rmtree(temporary, ignore_errors=True)


def test_the_tables_are_the_same_whoever_made_them(ran: Ran, alone: Path) -> None:
    assert ran.results["masked"] == DOCUMENTS
    assert digests(ran.workspace) == digests(alone)
    assert masked(ran.workspace) == masked(alone)
    assert len(digests(alone)) == DOCUMENTS // PER_SHARD


def test_shards_are_sent_from_within_a_task(ran: Ran) -> None:
    """The names of classes are masked so, within the task that trains."""
    assert ran.results["inside"] == [0, 2, 4, 6]


def test_a_dead_worker_is_replaced_and_its_shard_tried_again(ran: Ran) -> None:
    assert (ran.folder / "died-1").exists()
    assert ran.results["after_death"] == [0, 2, 4, 6]


def test_a_refusal_crosses_as_it_is_and_is_not_tried_again(ran: Ran) -> None:
    assert ran.results["refused"] == ["WorkspaceKeyError", "no key for this shard"]
    assert (ran.folder / "refusals").read_text() == "x"


def test_nobody_outlives_a_parent_that_is_killed(ran: Ran) -> None:
    assert ran.descendants
    until = time.monotonic() + GONE_SECONDS
    while (left := [*filter(works, ran.descendants)]) and time.monotonic() < until:
        time.sleep(0.1)
    assert left == []


def test_no_record_holds_a_text_or_a_password(ran: Ran, base: Path) -> None:
    """Not Prefect's database, nor what Dask and Ray leave under the temporary folder, nor the terminal."""
    lines = (base / "corpus" / "records" / "matters.jsonl").read_text(encoding="utf-8").splitlines()
    canaries = {json.loads(line)["text"][:40] for line in lines} | {PASSWORD}
    with closing(sqlite3.connect(f"file:{ran.server.home / 'prefect.db'}?mode=ro", uri=True)) as database:
        dump = "\n".join(database.iterdump())
    files = [path for path in ran.temporary.rglob("*") if path.is_file()]
    said = [dump, ran.errors, *(path.read_bytes().decode("utf-8", "replace") for path in files)]
    for canary in canaries:
        assert not any(canary in text for text in said)


def test_the_folders_of_a_cluster_are_closed_to_others(ran: Ran) -> None:
    folders = list(ran.temporary.glob("lexveil-*"))
    assert folders
    for folder in folders:
        assert folder.stat().st_mode & 0o077 == 0


def test_an_extra_that_is_missing_is_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "find_spec", lambda _: None)
    for runner in ("dask", "ray"):
        with pytest.raises(SettingsError, match=rf"lexveil\[{runner}\]"):
            runners.check_runner(Settings(runner=runner))
    runners.check_runner(Settings())


@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_cluster_that_is_not_there_is_one_line_without_its_address(runner: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://someone:{PASSWORD}@127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(SettingsError, match="nobody answers") as caught:
            runners.check_runner(Settings.model_validate({"runner": runner, "runner_address": address}))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("address", ["auto", "local", "scheduler.internal", "tls://scheduler.internal"])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    """Ray would take some of these to mean: make a cluster, and not one of ours."""
    with pytest.raises(SettingsError, match="HOST:PORT"):
        runners.check_runner(Settings(runner="ray", runner_address=address))


def test_a_cluster_of_others_is_used_and_left_as_it_was(
    tmp_path: Path, command_in: Callable[[Path], Command], prefect_server: PrefectServer
) -> None:
    pytest.importorskip("prefect_dask")
    (tmp_path / "runner_work.py").write_text(WORK)
    (tmp_path / "job.py").write_text(EXTERNAL)
    done = command_in(tmp_path).run_script(tmp_path / "job.py", PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert results["1"] == [0, 2, 4, 6]
    assert "one thread each" in results["2"]
    assert results["stayed"] == 1


def test_an_order_shows_nothing() -> None:
    def work(_: str) -> ShardResult:
        raise NotImplementedError

    assert repr(order.Order(functools.partial(work, PASSWORD))) == "Order()"


@pytest.fixture
def without_delay(monkeypatch: pytest.MonkeyPatch, prefect_server: PrefectServer) -> Iterator[None]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    quick = order.shard_task.with_options(retry_delay_seconds=0)
    monkeypatch.setattr(order, "shard_task", quick)
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        yield


@pytest.mark.parametrize(
    ("error", "tries"), [(OSError(PASSWORD), 1 + order.RETRIES), (WorkspaceKeyError("no key"), 1)]
)
def test_what_may_pass_is_tried_again_and_a_refusal_is_not(
    error: Exception, tries: int, without_delay: None
) -> None:
    from prefect import flow
    from prefect.task_runners import ThreadPoolTaskRunner

    asked: list[int] = []

    def fail() -> ShardResult:
        asked.append(1)
        raise error

    @flow(name="retries", log_prints=False, persist_result=False)
    def job() -> None:
        with ThreadPoolTaskRunner(max_workers=2) as tasks:  # pyright: ignore[reportArgumentType]
            runner = order.Runner(tasks, lambda *_: order.Order(fail), 2)
            list(runner.each("mask", lambda _: None, [Shard(0, "key")]))  # type: ignore[arg-type]

    with pytest.raises((StageError, WorkspaceKeyError)) as caught:
        job()
    assert len(asked) == tries
    assert PASSWORD not in str(caught.value)
