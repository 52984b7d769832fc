"""Kill the main job at random moments, start it again until it is through, compare with an undisturbed run.

`--mode fork` (default) forks the job, with its pool of workers, from a process that has loaded the models, so
that ten restarts do not load them thirty times. `--mode cli` runs the real `lexveil run`, on any `--source`:

    python -m benchmarks.kill_and_resume --mode cli --source ../corpus.jsonl.zst --shard-documents 64

A moment is drawn as: a number of finished parts on disk, and then a share of the time that a part takes. Some
moments are drawn inside the training. SIGKILL goes to the job's own process alone; its workers, and the
server that it started, must leave by themselves. Both runs begin with one table of keys, which makes ids
equal, and one training seed: everything but times and ids of runs must come out equal, weights included.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import multiprocessing
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run

ROOT = Path(__file__).parent.parent
COMMITTED = ("protected/raw", "protected/found", "masked", "protected/encoded/*", "features/*")
# Written before the part that commits them, so they are final only with it.
COMPANIONS = {
    "protected/quarantine": "protected/raw",
    "protected/held_back": "masked",
    "protected/vault": "masked",
}
MARK = "KILL_AND_RESUME_MARK"
PURPOSES = ("doc-id", "owner-id", "source-id", "quarantine", "pseudonyms", "held-out")
POLL_SECONDS = 0.004
State = tuple[int, int]  # inode and time of change: both differ where a part was written again


@dataclass(frozen=True, slots=True)
class Job:
    """The request that is made again and again."""

    source: Path
    config: Path
    options: tuple[str, ...]
    mode: str


class Started:
    """A running job. Only its own process is ever killed."""

    def __init__(self, job: Job, workspace: Path) -> None:
        self._mark = os.urandom(8).hex()
        self._alive: int | None = None
        if job.mode == "fork":
            self._alive, ours = os.pipe()
            self.pid = os.fork()
            if self.pid == 0:
                os.close(self._alive)
                _child(job, workspace)
            os.close(ours)
        else:
            command = [
                sys.executable,
                "-c",
                "from lexveil.flows.cli import main; main()",
                "run",
                str(job.source),
            ]
            command += ["-w", str(workspace), "--config", str(job.config), "--json", *job.options]
            environment = {**os.environ, MARK: self._mark}
            self.pid = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL).pid

    def ended(self) -> int | None:
        """Exit code, None while it runs."""
        found, status = os.waitpid(self.pid, os.WNOHANG)
        return None if found == 0 else os.waitstatus_to_exitcode(status)

    def wait(self) -> int:
        """Wait for its end. Returns the exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> int:
        """SIGKILL, and the exit code."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def followers_gone(self, most: float) -> float:
        """Seconds until everything that the job had started was gone; raises where it stays."""
        begin = time.monotonic()
        while time.monotonic() - begin < most:
            if self._alive is not None:
                if select.select([self._alive], [], [], 0.05)[0]:  # the last holder of the other end is gone
                    os.close(self._alive)
                    return time.monotonic() - begin
            elif not marked(self._mark):
                return time.monotonic() - begin
            else:
                time.sleep(0.05)
        raise TimeoutError("processes of a killed job stay")


def marked(mark: str) -> list[int]:
    """Running processes whose environment holds the mark."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
    return found


def parts(workspace: Path, folders: tuple[str, ...] = COMMITTED) -> dict[str, State]:
    """The finished parts."""
    found: dict[str, State] = {}
    for folder in folders:
        for path in workspace.glob(f"{folder}/part-*.parquet"):
            if path.parent.is_symlink():  # features/current
                continue
            with contextlib.suppress(FileNotFoundError):
                stat = path.stat()
                found[str(path.relative_to(workspace))] = (stat.st_ino, stat.st_mtime_ns)
    return found


def settled(workspace: Path) -> dict[str, State]:
    """Everything that a restart must leave as it is: finished parts, their companions, saved models."""
    found = parts(workspace)
    for folder, committing in COMPANIONS.items():
        for name, state in parts(workspace, (folder,)).items():
            if f"{committing}/{Path(name).name}" in found:
                found[name] = state
    for path in workspace.glob("models/[!.]*/*"):
        stat = path.stat()
        found[str(path.relative_to(workspace))] = (stat.st_ino, stat.st_mtime_ns)
    return found


def lay_out(root: Path, names: tuple[str, str]) -> None:
    """Two empty workspaces whose keyed ids are the same: a workspace's own keys are random."""
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.workspace.workspace import Workspace

    first, second = (root / name for name in names)
    keys = Workspace.create_or_open(first).with_settings(load_settings()).keys
    for purpose in PURPOSES:
        keys.purpose_key(purpose)
    shutil.copytree(first, second)


def draw_moments(
    kills: int, in_training: int, undisturbed: dict[str, Any], seed: int
) -> list[tuple[int, float]]:
    """(finished parts, seconds to wait then) of each kill, in the order of the run."""
    draws = random.Random(seed)
    total, before_training = undisturbed["parts"], undisturbed["parts_before_training"]
    seconds = undisturbed["seconds"]
    moments: list[tuple[int, float]] = []
    for number in range(kills):
        training = number < in_training
        done = before_training if training else draws.randrange(total)
        # Quick stages would otherwise be over before the wait is.
        stage = ("ingest", "mask", "encode", "evaluate")[min(3, 3 * done // before_training)]
        pace = seconds["train"] if training else seconds[stage] * 3 / before_training
        moments.append((done, draws.random() * pace))
    return sorted(moments)


def killed_run(job: Job, workspace: Path, moments: list[tuple[int, float]]) -> dict[str, Any]:
    """Carry out the job with a kill at each moment. Returns what was seen."""
    rewritten: set[str] = set()
    known: dict[str, State] = {}
    kills: list[dict[str, Any]] = []
    for done, wait in moments:
        process = Started(job, workspace)
        code: int | None = None
        while code is None and len(parts(workspace)) < done:
            time.sleep(POLL_SECONDS)
            code = process.ended()
        deadline = time.monotonic() + wait
        while code is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            code = process.ended()
        through = code is not None
        if code is None:
            code = process.kill()
        left = process.followers_gone(60)
        now = settled(workspace)
        rewritten |= {name for name, state in known.items() if now.get(name) != state}
        known = now
        kills.append({"code": code, "through": through, "settled": len(now), "followers_left_after": left})
    code = Started(job, workspace).wait()
    now = settled(workspace)
    rewritten |= {name for name, state in known.items() if now.get(name) != state}
    return {"kills": kills, "code": code, "rewritten": sorted(rewritten), "at_the_end": len(now)}


def undisturbed_run(job: Job, workspace: Path) -> dict[str, Any]:
    """Carry out the job. Returns its exit code, and what moments are drawn from."""
    code = Started(job, workspace).wait()
    last = json.loads((workspace / "runs" / "last.json").read_text())["result"]
    before = {name for name in parts(workspace) if not name.startswith("features")}
    return {
        "code": code,
        "parts": len(parts(workspace)),
        "parts_before_training": len(before),
        "seconds": last["seconds"],
    }


def outcome(workspace: Path, config: Path) -> dict[str, Any]:
    """Digests of everything that a run of the same request must come to again."""
    import hashlib

    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.workspace import tables
    from lexveil.pipeline.workspace.documents import read_raw
    from lexveil.pipeline.workspace.features import find_current_features
    from lexveil.pipeline.workspace.workspace import Workspace
    from lexveil.privacy.dp.ledger.ledger import Ledger
    from lexveil.privacy.vault import unseal

    place, settings = Workspace.open(workspace), load_settings(config)
    keys = place.with_settings(settings).keys

    def rows(folder: Path, *without: str) -> list[Any]:
        found = [tables.read_part(path) for path in sorted(folder.glob("part-*.parquet"))]
        return [table.drop_columns(list(without)).to_pylist() for table in found]

    def digest(value: Any) -> str:
        return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()[:16]

    vault = [row for part in rows(place.vault) for row in part]
    opened = keys.existing_keys([row["doc_id"] for row in vault])
    catalogue = place.with_settings(settings).catalogue.read().to_pylist()
    in_shard: dict[int, list[str]] = {}
    for row in catalogue:
        in_shard.setdefault(row["shard"], []).append(row["doc_id"])
    texts = {
        document.doc_id: document.text
        for shard, ids in in_shard.items()
        for document in read_raw(place.with_settings(settings), shard, ids)
    }
    weights = [path.read_bytes() for path in sorted(place.models.glob("*/*.safetensors"))]
    ledger = Ledger(place.ledger_url(settings))
    (population,) = ledger.populations()
    result = json.loads((place.runs / "last.json").read_text())["result"]
    told = ("ingested", "duplicates", "quarantine", "masked", "spans_by_type", "chunks", "model", "epsilon")
    try:
        return {
            "texts": digest(sorted(texts.items())),
            "catalogue": digest(catalogue),
            "quarantine": digest(rows(place.quarantine, "where")),
            "masked": digest(rows(place.masked)),
            "vault": digest(
                [
                    unseal(
                        opened[row["doc_id"]], row["payload"], f"vault:{row['doc_id']}:{row['start']}"
                    ).decode()
                    for row in vault
                ]
            ),
            "features": digest(rows(find_current_features(place), "created")),
            "models": [hashlib.sha256(data).hexdigest()[:16] for data in weights],
            "told": digest([[result[name] for name in (*told, "utility")], result["encrypted"]["agreement"]]),
            "ledger_total": ledger.spent_epsilon(population, settings.ledger.limit_delta),
            "ledger_entries": [entry.kind for entry in ledger.entries()],
            "ledger_intact": ledger.verify().ok,
            "leftovers": sorted(str(path.relative_to(workspace)) for path in workspace.rglob("*.partial")),
        }
    finally:
        ledger.close()


def measure(arguments: argparse.Namespace) -> Outcome:
    """Both runs, and the comparison."""
    with tempfile.TemporaryDirectory(prefix="lexveil-kill-") as folder:
        root = Path(folder)
        job = Job(_source(arguments, root), root / "lexveil.toml", tuple(arguments.options), arguments.mode)
        job.config.write_text(
            f"workers = {arguments.workers}\n[mask]\ndetector = {json.dumps(arguments.detector)}\n"
            f"[ingest]\nshard_documents = {arguments.shard_documents}\n"
            f"[train]\nseed = {arguments.seed}\nsteps = {arguments.steps}\ncheckpoint_seconds = 0\n"
        )
        os.environ["PREFECT_HOME"] = str(root / "prefect")
        if job.mode == "fork":
            _load_models(job)
        lay_out(root, ("undisturbed", "killed"))
        undisturbed = undisturbed_run(job, root / "undisturbed")
        moments = draw_moments(arguments.kills, arguments.in_training, undisturbed, arguments.seed)
        killed = killed_run(job, root / "killed", moments)
        expected, found = (outcome(root / name, job.config) for name in ("undisturbed", "killed"))
    # A half-written file of a killed run is reported, and is not a table.
    different = sorted(name for name in expected if name != "leftovers" and expected[name] != found[name])
    real = sum(not kill["through"] for kill in killed["kills"])
    details = {
        "undisturbed": undisturbed,
        "killed": killed,
        "moments": moments,
        "expected": expected,
        "found": found,
        "different": different,
    }
    figures = {
        "tables_different": Figure(len(different), 0, "kinds", "lower"),
        "finished_parts_rewritten": Figure(len(killed["rewritten"]), 0, "parts", "lower"),
        "reservations": Figure(found["ledger_entries"].count("reserve"), 1, "entries", "lower"),
        "kills_that_hit": Figure(real, arguments.kills, "kills", "higher"),
        "slowest_follower": Figure(
            max((kill["followers_left_after"] for kill in killed["kills"]), default=0.0), None, "s", "lower"
        ),
    }
    return Outcome(
        figures, {"kills": arguments.kills, "parts": undisturbed["parts"]}, [arguments.seed], details
    )


def _source(arguments: argparse.Namespace, root: Path) -> Path:
    if arguments.source:
        return Path(arguments.source).resolve()
    from fixtures.generate import generate

    generate(root / "generated", arguments.documents, arguments.seed, "jsonl")
    return root / "generated" / "corpus"


def _load_models(job: Job) -> None:
    # What each spawned worker would load for itself; tables are not touched, since Arrow has threads.
    import dp_accounting.pld
    import matplotlib.pyplot
    import sklearn.metrics
    import tenseal

    from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio

    keep_model_libraries_out_of_presidio()  # as the command and its workers do
    import lexveil.flows.runners.pool
    import lexveil.pipeline.job
    from lexveil.nlp.detection.detector import Detector
    from lexveil.nlp.encoders.topics import PublicTopics
    from lexveil.pipeline.models.encoding import load_encoder
    from lexveil.pipeline.settings import load_settings

    del dp_accounting, matplotlib, sklearn, tenseal
    settings = load_settings(job.config)
    detector = Detector.load(settings.mask.detector)
    if settings.mask.detector == "rules":  # a network's session has threads, which no fork inherits
        detector.detect("On 3 May 2021 the claim of Ms Jane Roe was dismissed.")
    PublicTopics.load(load_encoder(settings.train))
    forked: Callable[[str], Any] = lambda _method: multiprocessing.get_context("fork")  # noqa: E731
    lexveil.flows.runners.pool.multiprocessing = _ForkOnly(forked)  # type: ignore[attr-defined]
    gc.freeze()


@dataclass(frozen=True)
class _ForkOnly:
    get_context: Callable[[str], Any]


def _child(job: Job, workspace: Path) -> None:
    """What `lexveil run` does after it has read its options, without Prefect. Never returns."""
    code = 1
    try:
        from lexveil.flows.runners.pool import WorkerPool
        from lexveil.pipeline.job import run_job
        from lexveil.pipeline.request import (
            find_reusable_result,
            make_request,
            prepare_workspace,
            submit_request,
        )
        from lexveil.pipeline.settings import load_settings
        from lexveil.pipeline.workspace.lock import lock

        settings = load_settings(job.config)
        place = prepare_workspace(workspace, settings, [job.source], need_labels=True)
        request = make_request(place.with_settings(settings), [job.source])
        if find_reusable_result(place, request) is None:
            submit_request(place, request)
            with lock(place), WorkerPool(settings.workers) as pool:
                run_job(place, request, pool.each)
        code = 0
    except Exception as error:
        print(f"job failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mode", choices=("fork", "cli"), default="fork")
    parser.add_argument("--source", help="sources of your own instead of generated ones")
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--shard-documents", type=int, default=10)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--in-training", type=int, default=3, help="how many kills fall into the training")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--detector", default="default")
    parser.add_argument("options", nargs="*", help="after --: further options of `lexveil run` (mode cli)")


if __name__ == "__main__":
    # Before torch: a forked process must not inherit a pool of threads that are not there.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ.setdefault("LEXVEIL_MASTER_KEY", "5a" * 32)
    run(__doc__, measure, _options)
