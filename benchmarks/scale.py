"""Scale: many documents on two cores, what orchestration costs there, other runners, and an idle night.

Figures, each by itself with `--only`:

* `linear`: documents through ingest-mask (ingest, find, mask, as a Prefect flow on worker processes) at
  `--documents` and at a tenth of them. The clock starts when server and workers are up, so that their start
  does not flatter the smaller size. Wall time per document at the full size over that at the tenth; the CPU
  seconds per document of all processes stand beside it. Peak memory is the sampled sum of the proportional
  set sizes (PSS) of the whole process tree, Prefect's server included.
* `orchestration`: the share of that run's wall time that Prefect and our own bookkeeping cost. Lost are:
  time in which a worker starved although its stage had a shard left; all time outside of the stages (plans,
  catalogue, manifests); and the CPU seconds that the server and the flow's process burnt within the stages,
  over the cores. On full cores each of these was taken from a worker; where a core was free it cost nothing,
  so the share errs upward.
* `runners`: mask and extract (find, mask, encode, extract) on a Dask and a Ray cluster that is made for the
  run, with two workers against one; `--runner` names others. `steady` starts when the workers are up and have
  loaded their models, `total` has the cluster's start and end in it, which are paid once a run.
  All tables must be equal, whatever the runner.
* `nightly`: the scheduled flow over a workspace where nothing is new, the server being up; for files of
  records, and for a drop folder with a file a document.

The corpus is generated (3 kB a document, no two alike) before any clock runs. `--keep FOLDER` keeps corpora,
prepared workspaces and the runs of ingest-mask for the next call, so that the parts of a long measurement can
be calls of their own: `--only orchestration --documents 10000`, then `--only linear --documents 100000`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run

SEED = 7
ROOT = Path(__file__).parent.parent
FIGURES = ("linear", "orchestration", "runners", "nightly")
PER_FILE = 2500
SAMPLE_SECONDS = 0.5
SMALL = 200
QUIET = {
    "OMP_NUM_THREADS": "1",  # idle threads of a pool spin, which would drown the CPU time in noise
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "DO_NOT_TRACK": "1",
}
# Of the following document, so that one has about 3 kB and no two are alike.
BORROWED = 700


def corpus(root: Path, documents: int, layout: str) -> Path:
    """Return a corpus of `documents` documents, made if it is missing. `layout`: "records" or "files"."""
    folder = root / f"{layout}-{documents}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _say(f"generating {documents} documents as {layout}")
        jobs = [
            (partial, layout, number, min(PER_FILE, documents - number * PER_FILE))
            for number in range(-(-documents // PER_FILE))
        ]
        with multiprocessing.get_context("spawn").Pool(_cores()) as pool:
            pool.starmap(_write, jobs)
        partial.rename(folder)
    return folder


def _write(folder: Path, layout: str, number: int, count: int) -> None:
    from fixtures.documents import documents

    made = list(documents(count + 1, SEED + number))
    texts = [f"{one.text}\n\n{after.text[:BORROWED]}" for one, after in itertools.pairwise(made)]
    if layout == "files":
        inside = folder / f"{number:04d}"
        inside.mkdir()
        for document, text in zip(made, texts, strict=False):
            (inside / f"{document.id}.txt").write_text(text, encoding="utf-8")
        return
    rows = [
        json.dumps({"id": one.id, "text": text, "label": one.label, "owner": one.owner}, ensure_ascii=False)
        for one, text in zip(made, texts, strict=False)
    ]
    (folder / f"records-{number:04d}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


def linear(root: Path, arguments: argparse.Namespace, *, sizes: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Each size through ingest-mask, from scratch; a size that is kept is not run again."""
    found: dict[int, dict[str, Any]] = {}
    for size in sizes:
        kept = root / f"ingest-mask-{size}-{arguments.detector}-{arguments.workers}.json"
        if kept.exists():
            _say(f"ingest-mask of {size} documents is kept in {kept}")
            found[size] = json.loads(kept.read_text())
            continue
        source = corpus(root, size, "records")
        _say(f"ingest-mask of {size} documents, detector {arguments.detector}")
        with _scratch(root) as scratch:
            found[size] = _job(
                scratch,
                "ingest_mask",
                corpus=str(source),
                workspace=str(scratch / "workspace"),
                detector=arguments.detector,
                workers=arguments.workers,
            )
        kept.write_text(json.dumps(found[size]))
    return found


def linear_figures(found: dict[int, dict[str, Any]]) -> dict[str, Figure]:
    small, large = (found[size] for size in sorted(found))
    per_document = [run["wall"] / run["documents"] for run in (small, large)]
    cpu = [
        (run["workers_cpu"] + run["own_cpu"] + run["server_cpu"]) / run["documents"] for run in (small, large)
    ]
    return {
        "linear": Figure(per_document[1] / per_document[0], 1.10, "x", "lower"),
        "linear_cpu": Figure(cpu[1] / cpu[0], None, "x", "lower"),
        "peak_memory": Figure(large["peak_bytes"] / 2**30, 2.0, "GiB", "lower"),
        "documents_per_second": Figure(1 / per_document[1], None, "documents", "higher"),
    }


def runners(root: Path, arguments: argparse.Namespace) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Every runner with one worker and with two, over copies of one workspace."""
    source = corpus(root, arguments.documents, "records")
    prepared = root / f"prepared-{arguments.documents}-{arguments.detector}"
    if not prepared.exists():
        _say("ingesting, and training a model to extract with")
        partial = prepared.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(f"{partial}-small", ignore_errors=True)
        with _scratch(root) as scratch:
            _job(
                scratch,
                "prepare_runners",
                corpus=str(source),
                small=str(corpus(root, SMALL, "records")),
                workspace=str(partial),
                detector=arguments.detector,
                workers=arguments.workers,
            )
        partial.rename(prepared)
    told: dict[str, dict[str, Any]] = {}
    for runner in arguments.runner:
        for workers in (1, 2):
            _say(f"mask and extract of {arguments.documents} documents, {runner}, {workers} workers")
            with _scratch(root) as scratch:
                shutil.copytree(prepared, scratch / "workspace")
                told[f"{runner}_{workers}"] = _job(
                    scratch,
                    "mask_extract",
                    workspace=str(scratch / "workspace"),
                    detector=arguments.detector,
                    workers=workers,
                    runner=runner,
                )
    figures: dict[str, Figure] = {}
    for runner in arguments.runner:
        one, two = told[f"{runner}_1"], told[f"{runner}_2"]
        figures[f"{runner}_speedup"] = Figure(one["steady"] / two["steady"], 1.7, "x", "higher")
        figures[f"{runner}_speedup_total"] = Figure(one["total"] / two["total"], None, "x", "higher")
        figures[f"{runner}_start"] = Figure(two["start"], None, "s", "lower")
    different = len({each["tables"] for each in told.values()}) - 1
    figures["runners_different_tables"] = Figure(different, 0, "tables", "lower")
    return figures, told


def nightly(root: Path, arguments: argparse.Namespace) -> tuple[dict[str, Figure], dict[str, Any]]:
    """An idle night over files of records, and over a drop folder."""
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    for layout in ("records", "files"):
        source = corpus(root, arguments.documents, layout)
        with _scratch(root) as scratch:
            place = str(scratch / "workspace")
            _say(f"ingesting {arguments.documents} documents from {layout}")
            config = scratch / "lexveil.toml"
            config.write_text(f'workers = {arguments.workers}\n[mask]\ndetector = "rules"\n')
            asked = {"corpus": str(source), "workspace": place, "config": str(config)}
            before = _job(scratch, "prepare_nightly", **asked)
            _say("a night with nothing new")
            night = _job(scratch, "nightly", **asked)
        details[layout] = {"ingest": before, "night": night}
        figures[f"nightly_{layout}"] = Figure(night["wall"], 30.0, "s", "lower")
    return figures, details


def measure(arguments: argparse.Namespace) -> Outcome:
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    wanted = FIGURES if arguments.only is None else (arguments.only,)
    with contextlib.ExitStack() as stack:
        root = arguments.keep
        if root is None:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-scale-")))
        root.mkdir(parents=True, exist_ok=True)
        n = arguments.documents
        if "linear" in wanted or "orchestration" in wanted:
            found = linear(root, arguments, sizes=(n // 10, n) if "linear" in wanted else (n,))
            details["ingest_mask"] = found
            if "linear" in wanted:
                figures |= linear_figures(found)
            figures["orchestration_share"] = Figure(found[n]["share"], 0.03, "share", "lower")
        for name, part in (("runners", runners), ("nightly", nightly)):
            if name in wanted:
                more, details[name] = part(root, arguments)
                figures |= more
    sizes = {"documents": arguments.documents, "workers": arguments.workers, "cores": _cores()}
    return Outcome(figures, sizes, [SEED], {"detector": arguments.detector, **details})


@contextlib.contextmanager
def _scratch(root: Path) -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="job-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _job(scratch: Path, name: str, **what: Any) -> dict[str, Any]:
    """Carry out a job in a process of its own, with a Prefect of its own. Adds `peak_bytes`."""
    outside = {
        key: value
        for key, value in os.environ.items()
        if key != "PREFECT_API_URL" and not key.startswith("LEXVEIL_")
    }
    own = {"PREFECT_HOME": str(scratch / "prefect"), "PYTHONPATH": str(ROOT), **QUIET}
    command = [sys.executable, "-m", "benchmarks.scale_jobs", name, json.dumps(what)]
    with subprocess.Popen(
        command, env={**outside, **own}, cwd=scratch, stdout=subprocess.PIPE, text=True
    ) as job:
        peak, stop = [0], threading.Event()
        sampler = threading.Thread(target=_sample, args=(job.pid, peak, stop), daemon=True)
        sampler.start()
        assert job.stdout is not None
        lines = job.stdout.read().splitlines()
        stop.set()
        sampler.join()
    if job.returncode:
        raise RuntimeError(f"the job {name} failed, exit code {job.returncode}")
    return {**json.loads(lines[-1]), "peak_bytes": peak[0]}


def _sample(process: int, peak: list[int], stop: threading.Event) -> None:
    while not stop.wait(SAMPLE_SECONDS):
        peak[0] = max(peak[0], sum(map(_proportional_bytes, _tree(process))))


def _tree(process: int) -> list[int]:
    """A process and all that descend from it."""
    found = [process]
    for parent in found:
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{parent}/task").iterdir():
                found.extend(map(int, (thread / "children").read_text().split()))
    return found


def _proportional_bytes(process: int) -> int:
    # What processes share counts for each by its part, so that the sum is what the machine gives.
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return 0


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", choices=FIGURES)
    parser.add_argument("--documents", type=int, default=10_000, help="the claim is made for 100000")
    parser.add_argument("--detector", default="light", choices=("default", "light", "rules"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runner", nargs="+", default=["dask", "ray"], choices=("processes", "dask", "ray"))
    parser.add_argument("--keep", type=Path, help="a folder for what the next call may use again")


if __name__ == "__main__":
    run(__doc__, measure, _options)
