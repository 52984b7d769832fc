"""What Prefect costs: the main job through the flow, and the same stages on the same workers without it.

Both sides take the same generated corpus from scratch (fresh workspaces, masking and training included), each
in a process of its own, alternating. Imports and the start of the ephemeral server lie before the clock; the
start is timed apart and printed beside the share.

`orchestration_share` = (starved + engine CPU / cores) / wall of the job with Prefect, where

* `starved` is time in which a worker had no shard although the stage had one left, since the engine had not
  handed it over yet, or had not handed back the last result: the integral of
  `max(0, min(workers, unfinished shards) - shards at the pool)` over each stage, divided by the workers, plus
  the wall time between the last shard's end and the stage's end, plus what a whole-stage task takes beyond
  its work;
* `engine CPU` is what the server and the flow's own process burn beyond what the same process burns without
  Prefect. On full cores each of these seconds is taken from a worker; where a core was free it cost
  nothing, so the share errs upward.

The plain difference (with - without) / with stands beside it as `wall_difference`. It is the same quantity,
but two long runs on a shared machine differ by more than Prefect costs: with few repetitions it may even be
negative. So the share that is held to the target is the one that is measured within one run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.contract import Figure, Outcome, run

T = TypeVar("T")
SEED = 7
TARGET = 0.10
Interval = tuple[float, float]


def starved_seconds(begin: float, end: float, at_pool: Sequence[Interval], workers: int) -> float:
    """Wall seconds of a stage that its workers lost to the engine.

    Args:
        begin, end: when the stage's shards were handed to the engine, and when it gave back the last result.
        at_pool: for each shard, when it reached the pool of workers and when it left.
    """
    if not at_pool:
        return end - begin
    moments = sorted({begin, *(moment for interval in at_pool for moment in interval)})
    lost = 0.0
    for start, stop in itertools.pairwise(moments):
        here = sum(since <= start and until >= stop for since, until in at_pool)
        unfinished = sum(until > start for _, until in at_pool)
        lost += max(0, min(workers, unfinished) - here) * (stop - start)
    return lost / workers + (end - moments[-1])


class Meter:
    """Measures one job: walls, CPU, and the intervals that the starved seconds are computed from."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.starved: dict[str, float] = {}
        self._at_pool: list[Interval] = []

    def pool_run(self, original: Callable[..., T]) -> Callable[..., T]:
        """Around `WorkerPool.run`."""

        def timed(*arguments: Any) -> T:
            since = time.monotonic()
            try:
                return original(*arguments)
            finally:
                self._at_pool.append((since, time.monotonic()))

        return timed

    def each(self, original: Any) -> Any:
        """Around a `ForEach`."""

        def timed(stage: str, work: Any, shards: Sequence[Any]) -> Iterator[Any]:
            self._at_pool = []
            begin = time.monotonic()
            results = list(original(stage, work, shards))
            self.starved[stage] = starved_seconds(begin, time.monotonic(), self._at_pool, self.workers)
            return iter(results)

        return timed

    def once(self, original: Any) -> Any:
        """Around a `Once`."""

        def timed(stage: str, work: Callable[[], T]) -> T:
            inside: list[float] = []

            def timed_work() -> T:
                since = time.monotonic()
                try:
                    return work()
                finally:
                    inside.append(time.monotonic() - since)

            begin = time.monotonic()
            result = original(stage, timed_work)
            self.starved[stage] = time.monotonic() - begin - sum(inside)
            return result

        return timed


def job(variant: str, corpus: Path, workspace: Path, workers: int) -> dict[str, Any]:
    """One main job in this process. `variant` is "prefect" or "plain"."""
    import flows.main as flow
    from flows.pool import WorkerPool
    from pipeline.job import run_job
    from pipeline.keys import key_store
    from pipeline.request import request_run, submit
    from pipeline.settings import load_settings
    from pipeline.workspace import Workspace

    settings = load_settings(None, workers=workers)
    place = Workspace.create_or_open(workspace)
    key_store(place, settings)
    request = request_run(place, settings, [corpus])
    submit(place, request)
    meter = Meter(workers)
    server_start = None
    if variant == "prefect":
        server_start = _start_server()
        plain_as_tasks, plain_as_task = flow.as_tasks, flow.as_task
        WorkerPool.run = meter.pool_run(WorkerPool.run)  # type: ignore[method-assign]
        flow.as_tasks = lambda pool: meter.each(plain_as_tasks(pool))
        flow.as_task = meter.once(plain_as_task)
    before, server_before = _cpu(), _server_cpu()
    begin = time.monotonic()
    if variant == "prefect":
        result = flow.run(place, request.run_id)
    else:
        with place.lock(), WorkerPool(workers) as pool:
            result = run_job(place, request, pool.each)
    wall = time.monotonic() - begin
    after = _cpu()
    return {
        "wall": wall,
        "parent_cpu": after[0] - before[0],
        "workers_cpu": after[1] - before[1],
        "server_cpu": _server_cpu() - server_before,
        "server_start": server_start,
        "starved": meter.starved,
        "stages": result["seconds"],
        "documents": result["ingested"],
    }


def _start_server() -> float:
    from prefect import flow

    @flow(name="start", log_prints=False, persist_result=False)
    def nothing() -> None:
        return None

    begin = time.monotonic()
    nothing()
    return time.monotonic() - begin


def _cpu() -> tuple[float, float]:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def _server_cpu() -> float:
    """CPU seconds of the ephemeral servers that this process has started, which are its running children."""
    from prefect.server.api.server import SubprocessASGIServer

    servers = [server.server_process for server in SubprocessASGIServer._instances.values()]
    ticks = 0
    for process in servers:
        if process is not None and process.poll() is None:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(arguments: argparse.Namespace) -> Outcome:
    """Generate the corpus, run both variants in turn, and compare."""
    from fixtures.generate import generate
    from flows.pool import default_workers

    workers = default_workers()
    with tempfile.TemporaryDirectory(prefix="lexveil-bench-") as folder:
        root = Path(folder)
        generate(root / "generated", arguments.documents, SEED, "jsonl")
        runs: dict[str, list[dict[str, Any]]] = {"prefect": [], "plain": []}
        for repetition in range(arguments.repeat):
            # The order is turned each time: what the first of a pair warms up must not favour one side.
            for variant in ("prefect", "plain") if repetition % 2 == 0 else ("plain", "prefect"):
                workspace = root / f"{variant}-{repetition}"
                _say(f"{variant}, {arguments.documents} documents, repetition {repetition + 1}")
                runs[variant].append(_in_process(variant, root, workspace, workers))
    return summary(runs, workers, arguments)


def summary(runs: dict[str, list[dict[str, Any]]], workers: int, arguments: argparse.Namespace) -> Outcome:
    """The figures from the runs of both sides."""
    cores = len(os.sched_getaffinity(0))
    with_it, without = (statistics.median(run["wall"] for run in runs[name]) for name in ("prefect", "plain"))
    plain_parent = statistics.median(run["parent_cpu"] for run in runs["plain"])
    shares: list[float] = []
    for found in runs["prefect"]:
        engine = found["server_cpu"] + max(0.0, found["parent_cpu"] - plain_parent)
        shares.append((sum(found["starved"].values()) + engine / cores) / found["wall"])
    start = statistics.median(run["server_start"] for run in runs["prefect"])
    figures = {
        "orchestration_share": Figure(statistics.median(shares), TARGET, "share", "lower"),
        "wall_difference": Figure((with_it - without) / with_it, None, "share", "lower"),
        "server_start": Figure(start, None, "s", "lower"),
        "job_with_prefect": Figure(with_it, None, "s", "lower"),
        "job_without_prefect": Figure(without, None, "s", "lower"),
    }
    n = {"documents": arguments.documents, "repetitions": arguments.repeat, "workers": workers}
    return Outcome(figures, n, [SEED], runs)


def _in_process(variant: str, root: Path, workspace: Path, workers: int) -> dict[str, Any]:
    environment = {
        **os.environ,
        "PREFECT_HOME": str(root / "prefect"),
        # Idle threads of a pool spin, which would drown the engine's CPU time in noise.
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("PREFECT_API_URL", None)
    for name in [name for name in environment if name.startswith("LEXVEIL_") and "__" in name]:
        del environment[name]
    corpus = root / "generated" / "corpus"
    command = [
        sys.executable,
        "-m",
        "benchmarks.orchestration",
        "--job",
        variant,
        str(corpus),
        str(workspace),
    ]
    command += [str(workers)]
    done = subprocess.run(
        command,
        env=environment,
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        print(json.dumps(job(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))))
    else:
        run(__doc__, measure, _options)
