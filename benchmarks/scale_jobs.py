"""The jobs that `benchmarks.scale` measures, each in a process of its own, and the meters inside them.

`python -m benchmarks.scale_jobs JOB JSON` prints one JSON object as its last line.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from lexveil.pipeline.records import ForEach, Shard, ShardResult
    from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace.lock import lock
from lexveil.pipeline.workspace.workspace import Workspace

T = TypeVar("T")
Interval = tuple[float, float]
_WARM_SECONDS = 3.0


def starved_seconds(begin: float, end: float, at_pool: Sequence[Interval], workers: int) -> float:
    """Wall seconds of a stage that its workers lost to the engine.

    Args:
        begin, end: when the stage's shards were handed to the engine, and when it gave back the last result.
        at_pool: for each shard, when it reached the pool of workers and when it left.
    """
    if not at_pool:
        return end - begin
    # A sweep over the moments: what is under way, and what is unfinished, between each two of them.
    changes: dict[float, list[int]] = {}
    for since, until in at_pool:
        changes.setdefault(since, [0, 0])[0] += 1
        changes.setdefault(until, [0, 0])[1] += 1
    changes.setdefault(begin, [0, 0])
    lost, here, unfinished = 0.0, 0, len(at_pool)
    for start, stop in itertools.pairwise(sorted(changes)):
        came, went = changes[start]
        here, unfinished = here + came - went, unfinished - went
        lost += max(0, min(workers, unfinished) - here) * (stop - start)
    return lost / workers + (end - max(changes))


class Meter:
    """Time that a job loses to orchestration: to Prefect, and to our own planning and bookkeeping.

    `lost` = time in which workers starve within the stages
           + wall time outside of them (plans, catalogue, manifests)
           + CPU seconds of the server and of this process within the stages, over the cores: on full cores
             each of them is taken from a worker.
    """

    def __init__(self, workers: int, server_cpu: Callable[[], float]) -> None:
        self.workers = workers
        self.stages: dict[str, dict[str, float]] = {}
        self._at_pool: list[Interval] = []
        self._server_cpu = server_cpu
        self._begin, self._server = time.monotonic(), server_cpu()

    def pool_run(self, original: Callable[..., T]) -> Callable[..., T]:
        """Around `WorkerPool.run`."""

        def timed(*arguments: Any) -> T:
            since = time.monotonic()
            try:
                return original(*arguments)
            finally:
                self._at_pool.append((since, time.monotonic()))

        return timed

    def each(self, original: ForEach) -> ForEach:
        """Around a `ForEach`."""

        def timed(stage: str, work: Any, shards: Sequence[Shard]) -> Iterator[ShardResult]:
            self._at_pool.clear()
            begin, cpu = time.monotonic(), own_cpu()
            yield from original(stage, work, shards)
            end = time.monotonic()
            self.stages[stage] = {
                "wall": end - begin,
                "starved": starved_seconds(begin, end, self._at_pool, self.workers),
                "cpu": own_cpu() - cpu,
                "shards": len(shards),
            }

        return timed

    def restart(self) -> None:
        """Begin to count here."""
        self.stages.clear()
        self._begin, self._server = time.monotonic(), self._server_cpu()

    def told(self) -> dict[str, Any]:
        wall = time.monotonic() - self._begin
        server = self._server_cpu() - self._server
        starved = sum(stage["starved"] for stage in self.stages.values())
        between = wall - sum(stage["wall"] for stage in self.stages.values())
        engine = server + sum(stage["cpu"] for stage in self.stages.values())
        lost = starved + between + engine / len(os.sched_getaffinity(0))
        told = {"wall": wall, "starved": starved, "between": between, "server_cpu": server}
        return {**told, "engine_cpu": engine, "lost": lost, "share": lost / wall, "stages": self.stages}


def own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def server_cpu() -> float:
    """CPU seconds so far of the Prefect server that this process has started."""
    return sum(_ticks(child) for child in _list_children() if _is_server(child)) / os.sysconf("SC_CLK_TCK")


def running_cpu() -> float:
    """CPU seconds so far of the children of this process that are running, but for the server."""
    others = (child for child in _list_children() if not _is_server(child))
    return sum(map(_ticks, others)) / os.sysconf("SC_CLK_TCK")


def _list_children() -> set[int]:
    return {
        int(child)
        for thread in Path("/proc/self/task").iterdir()
        for child in (thread / "children").read_text().split()
    }


def _is_server(process: int) -> bool:
    return b"prefect.server.api.server" in Path(f"/proc/{process}/cmdline").read_bytes()


def _ticks(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def warm(settings: Settings, encode: bool, shard: Shard) -> ShardResult:
    """Load what a worker needs, and take long enough that every worker gets one of these."""
    from lexveil.pipeline.masking.detector import detect
    from lexveil.pipeline.models.encoding import encode_texts
    from lexveil.pipeline.records import ShardResult

    until = time.monotonic() + _WARM_SECONDS
    detect(settings.mask, ["The claimant resides in Springfield."])
    if encode:
        encode_texts(["The claimant resides in Springfield."], settings.train, "embedding")
    time.sleep(max(0.0, until - time.monotonic()))
    return ShardResult(shard.index, shard.key, 0, "", {})


def warm_up(each: ForEach, settings: Settings, workers: int, encode: bool) -> None:
    from lexveil.pipeline.records import Shard

    shards = [Shard(index, "warm") for index in range(2 * workers)]
    list(each("warm", functools.partial(warm, settings, encode), shards))


def start_server() -> float:
    """Start the ephemeral server. Returns the seconds it took."""
    from prefect import flow

    @flow(name="start", log_prints=False, persist_result=False)
    def nothing() -> None:
        return None

    begin = time.monotonic()
    nothing()
    return time.monotonic() - begin


def settings_of(detector: str, workers: int, runner: str = "processes") -> Settings:
    from lexveil.pipeline.settings import load_settings

    return load_settings(None, workers=workers, runner=runner, mask={"detector": detector})


def in_flow(body: Callable[[], T]) -> T:
    """Run something as a Prefect flow."""
    from prefect import flow

    result: list[T] = []

    @flow(name="scale", log_prints=False, persist_result=False)
    def measured() -> None:
        result.append(body())

    measured()
    return result[0]


def ingest_mask(corpus: str, workspace: str, detector: str, workers: int) -> dict[str, Any]:
    """Sources to masked text through Prefect, from the moment that the workers are warm."""
    from lexveil.flows.runners.pool import WorkerPool
    from lexveil.flows.runners.tasks import shard_tasks
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.workspace.workspace import Workspace

    settings = settings_of(detector, workers)
    place = Workspace.create_or_open(workspace)
    started = start_server()
    meter = Meter(workers, server_cpu)
    WorkerPool.run = meter.pool_run(WorkerPool.run)  # type: ignore[method-assign]

    def body() -> dict[str, Any]:
        with lock(place), shard_tasks(settings) as each:
            warm_up(each, settings, workers, encode=False)
            warmed = running_cpu()
            meter.restart()
            begin, cpu = time.monotonic(), own_cpu()
            ingested = ingest(place.with_settings(settings), [Path(corpus)], meter.each(each))
            mask(place.with_settings(settings), meter.each(each))
            wall = time.monotonic() - begin
            told = {"documents": ingested.rows, "wall": wall, "own_cpu": own_cpu() - cpu}
            return {**meter.told(), **told, "workers_cpu": running_cpu() - warmed}

    return {**in_flow(body), "server_start": started}


def prepare_nightly(corpus: str, workspace: str, config: str) -> dict[str, Any]:
    """A workspace in which all of a corpus is ingested and its run is closed, as after the last night."""
    from lexveil.flows.runners.pool import WorkerPool
    from lexveil.pipeline.request import close_request, make_request, prepare_workspace
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.workspace.storage import write_bytes

    settings, sources = load_settings(Path(config)), [Path(corpus)]
    begin = time.monotonic()
    place = prepare_workspace(Path(workspace), settings, sources, need_labels=True)
    request = make_request(place.with_settings(settings), sources)
    with lock(place), WorkerPool(settings.workers) as pool:
        ingested = ingest(place.with_settings(settings), sources, pool.each)
    report = place.runs / request.run_id / "report.html"
    write_bytes(report, b"")
    close_request(place, request, {"report": str(report), "run_id": request.run_id})
    return {"documents": ingested.rows, "wall": time.monotonic() - begin}


def nightly(corpus: str, workspace: str, config: str) -> dict[str, Any]:
    """The scheduled flow over a workspace that has everything already; the server is up."""
    from lexveil.flows.deployments import scheduled_job
    from lexveil.pipeline.request import find_reusable_result, make_request
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.workspace.workspace import Workspace

    started = start_server()
    place, settings = Workspace.open(workspace), load_settings(Path(config))
    if find_reusable_result(place, make_request(place.with_settings(settings), [Path(corpus)])) is None:
        raise RuntimeError("this night has something to do")
    begin, cpu = time.monotonic(), own_cpu()
    scheduled_job(workspace, [corpus], config)
    wall = time.monotonic() - begin
    return {"wall": wall, "cpu": own_cpu() - cpu, "server_start": started}


def prepare_runners(corpus: str, small: str, workspace: str, detector: str, workers: int) -> dict[str, Any]:
    """A workspace with the corpus ingested, and a model of another corpus; to be copied for every runner."""
    from lexveil.flows.runners.pool import WorkerPool
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.stages.train import train
    from lexveil.pipeline.workspace.workspace import Workspace

    settings = settings_of(detector, workers)
    few = settings.model_copy(update={"train": settings.train.model_copy(update={"steps": 3})})
    place, other = Workspace.create_or_open(workspace), Workspace.create_or_open(f"{workspace}-small")
    with lock(place), WorkerPool(workers) as pool:
        ingested = ingest(place.with_settings(settings), [Path(corpus)], pool.each)
        ingest(other.with_settings(settings), [Path(small)], pool.each)
        mask(other.with_settings(settings), pool.each)
        train(other.with_settings(few), pool.each)
    shutil.copytree(Path(str(other.models)), Path(str(place.models)), dirs_exist_ok=True)
    return {"documents": ingested.rows}


def mask_extract(workspace: str, detector: str, workers: int, runner: str) -> dict[str, Any]:
    """Mask and extract on a runner. `start`: until its workers are warm; `steady`: from there."""
    from lexveil.flows.runners.tasks import shard_tasks
    from lexveil.pipeline.stages.extract import extract
    from lexveil.pipeline.stages.mask import mask
    from lexveil.pipeline.workspace.workspace import Workspace

    settings = settings_of(detector, workers, runner)
    place = Workspace.open(workspace)
    started = start_server()

    def body() -> dict[str, float]:
        begin = time.monotonic()
        with lock(place), shard_tasks(settings) as each:
            warm_up(each, settings, workers, encode=True)
            warmed = time.monotonic()
            mask(place.with_settings(settings), each)
            masked = time.monotonic()
            extract(place.with_settings(settings), None, each)
            done = time.monotonic()
        told = {"start": warmed - begin, "mask": masked - warmed, "extract": done - masked}
        return {**told, "steady": done - warmed, "total": time.monotonic() - begin}

    return {**in_flow(body), "server_start": started, "tables": tables_digest(place)}


def tables_digest(place: Workspace) -> str:
    """Digest of all masked texts and features, with the documents they belong to."""
    from lexveil.pipeline.workspace import tables
    from lexveil.pipeline.workspace.features import find_current_features

    digest = hashlib.sha256()
    for folder, columns in (
        (place.masked, ["doc_id", "owner", "text", "n_spans", "verdict"]),
        (find_current_features(place), ["doc_id", "owner", "features"]),
    ):
        for path in sorted(folder.glob("part-*.parquet")):
            digest.update(path.name.encode())
            digest.update(repr(tables.read_part(path, columns).to_pylist()).encode())
    return digest.hexdigest()


JOBS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "ingest_mask": ingest_mask,
    "prepare_nightly": prepare_nightly,
    "nightly": nightly,
    "prepare_runners": prepare_runners,
    "mask_extract": mask_extract,
}

if __name__ == "__main__":
    # By its importable name, so that what workers are sent does not belong to `__main__`.
    from benchmarks import scale_jobs

    print(json.dumps(scale_jobs.JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
