"""Faults at random points of scheduled runs; afterwards everything must be as if nothing had happened.

Everything is real: PostgreSQL, a Prefect server on it, `lexveil deploy`, a process worker, a workspace whose
keys, catalogue, log and ledger are in PostgreSQL. At each point a nightly run starts on an empty workspace,
one fault is done to it, what died is started again, and the night is repeated until one is through:

    worker    SIGKILL to the worker and all it started, to the run's process, or to one of its pool
    server    SIGKILL to the Prefect server, which is gone for 0, 2 or 20 seconds
    database  all sessions of PostgreSQL ended, or PostgreSQL itself killed and recovered
    disk      the workspace lies on a file system that is full at a random point, and gets room later
    clock     the clock of the worker's machine jumps by 2 minutes to 400 days, forwards or backwards

A moment is drawn evenly from the time of an undisturbed run, and kept as "so many finished parts, and so many
seconds after": a busy machine moves it with the work. One master key and one training seed make the outcomes
comparable: texts, catalogue, quarantine, masked text, vault, features, weights, what the run tells, and the
ledger. `--jobs` sites work side by side, each with servers of its own.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos_site import (
    ENDED,
    POLL_SECONDS,
    Site,
    can_mount,
    can_move_clocks,
    descendants,
    enlarge_disk,
    site,
    small_disk,
)
from benchmarks.contract import Figure, Outcome, run
from benchmarks.kill_and_resume import marked, outcome, parts

KINDS = ("worker", "server", "database", "disk", "clock")
NIGHTS = 5
# A run whose process is gone is marked crashed after two minutes, and its slot is free again after five.
NIGHT_SECONDS = 900
SILENT_SECONDS = 200
# Files that an undisturbed run leaves as well, or that say how often it was begun.
ALLOWED = ("ledger_entries",)


@dataclass(frozen=True, slots=True)
class Point:
    """One fault. `parts` and `wait`: when; `share`: how full the disk is when it is full."""

    number: int
    kind: str
    parts: int
    wait: float
    share: float
    seed: int


def timeline(place: Path, until: Callable[[], bool]) -> list[float]:
    """Seconds from now at which the finished parts of a workspace became one more, until the end."""
    begin, times = time.monotonic(), [0.0]
    while not until():
        now = time.monotonic() - begin
        times += [now] * (len(parts(place)) + 1 - len(times))
    return [*times, time.monotonic() - begin]


def draw_points(number: int, kinds: list[str], times: list[float], seed: int) -> list[Point]:
    """Points of all kinds in turn, spread evenly over the time of a run."""
    draws = random.Random(seed)
    points: list[Point] = []
    for index, kind in zip(range(number), itertools.cycle(kinds), strict=False):
        moment = draws.uniform(0, times[-1])
        done = max(place for place, since in enumerate(times[:-1]) if since <= moment)
        wait = moment - times[done]
        points.append(Point(index, kind, done, wait, draws.random(), draws.randrange(1 << 30)))
    return points


class Chaos:
    """What all points share: the request, the undisturbed outcome, how long and how large a run is."""

    def __init__(self, root: Path, arguments: argparse.Namespace) -> None:
        from fixtures.generate import generate

        self.root, self.arguments = root, arguments
        generate(root / "generated", arguments.documents, arguments.seed, "jsonl")
        self.source = root / "generated" / "corpus"
        self.lock = threading.Lock()  # settings of outcomes pass by the environment
        self.stopped, self.next_look = threading.Event(), 0.0
        self.expected: dict[str, Any] = {}
        self.size = 0

    def settings(self, here: Site, place: Path) -> Path:
        """The configuration of one workspace; its keys, catalogue, log and ledger lie in PostgreSQL."""
        from fixtures.postgres import new_database

        config = place.with_suffix(".toml")
        database = new_database(here.database, place.name)
        config.write_text(
            f'workers = {self.arguments.workers}\n[database]\nurl = "{database}"\n'
            f"[ingest]\nshard_documents = {self.arguments.shard_documents}\n"
            '[mask]\ndetector = "rules"\n[encrypted]\nsample = 4\n'
            f"[train]\nseed = {self.arguments.seed}\nsteps = {self.arguments.steps}\ncheckpoint_seconds = 0\n"
        )
        return config

    def rest(self, seconds: float) -> None:
        """Sleep; raise KeyboardInterrupt if the benchmark must end."""
        if self.stopped.wait(seconds):
            raise KeyboardInterrupt

    def night(self, here: Site, place: Path, config: Path) -> str:
        return here.night(workspace=str(place), config=str(config), sources=[str(self.source)])

    def ended(self, here: Site, night: str) -> bool:
        """Whether a run has ended; asked often, it looks once a second."""
        self.rest(POLL_SECONDS)
        if time.monotonic() < self.next_look:
            return False
        self.next_look = time.monotonic() + 1
        return here.state(night)["state_type"] in ENDED

    def undisturbed(self, here: Site) -> list[float]:
        """One run without a fault. Returns its timeline."""
        place = here.folder / "undisturbed"
        config = self.settings(here, place)
        night = self.night(here, place, config)
        times = timeline(place, lambda: self.ended(here, night))
        if not (place / "runs" / "last.json").exists():
            raise RuntimeError(f"the undisturbed run ended as {here.state(night)['state_name']}")
        self.expected = self.outcome(place, config)
        self.size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        return times

    def outcome(self, place: Path, config: Path) -> dict[str, Any]:
        from lexveil.pipeline.settings import load_settings
        from lexveil.pipeline.workspace.workspace import Workspace

        with self.lock:
            found = outcome(place, config)
            log = Workspace.open(place).with_settings(load_settings(config)).log.verify()
        return {**found, "log_intact": log.intact}

    def point(self, here: Site, point: Point) -> dict[str, Any]:
        """One fault and what came of it."""
        place = here.folder / f"point{point.number}"
        config, begin = self.settings(here, place), time.monotonic()
        # No more than a workspace needs, and at least a page for each of its files.
        size = int((0.02 + 0.9 * point.share) * self.size)
        with small_disk(place, size) if point.kind == "disk" else nullcontext():
            try:
                here.ready(movable=point.kind == "clock")
                told = self.disturbed(here, point, place, config)
                found = self.outcome(place, config)
            except Exception as error:
                told, found = {"error": f"{type(error).__name__}: {error}"}, {}
        different = sorted(n for n in self.expected if n not in ALLOWED and found.get(n) != self.expected[n])
        worker = here.parts["worker"].pid
        orphans = set(marked(here.mark)) - {worker, *descendants(worker)}
        if not different and not orphans and not self.arguments.keep:
            shutil.rmtree(place, ignore_errors=True)
        return {
            "point": point.number, "kind": point.kind, "parts": point.parts, "wait": round(point.wait, 2),
            **told, "different": different, "orphans": len(orphans),
            "leftovers": found.get("leftovers", []), "ledger": found.get("ledger_entries"),
            "seconds": round(time.monotonic() - begin, 1),
        }  # fmt: skip

    def disturbed(self, here: Site, point: Point, place: Path, config: Path) -> dict[str, Any]:
        """Start the night, do the fault, repeat the night until one is through."""
        draws, states = random.Random(point.seed), list[str]()
        fault = {"worker": here.kill_worker, "server": here.kill_server,
                 "database": here.hit_database, "clock": here.move_clock}.get(point.kind)  # fmt: skip
        night, hit, what = self.night(here, place, config), True, "full"
        if fault is not None:
            hit = self.moment(here, point, place, night)
            what = fault(draws) if hit else "too late"
            here.ready(movable=here.movable) if point.kind != "clock" else None
        for _ in range(NIGHTS):
            state = self.end_of(here, night, place, full=point.kind == "disk")
            states.append(state)
            here.ready(movable=here.movable)
            if state == "COMPLETED" and (place / "runs" / "last.json").exists():
                return {"hit": hit, "what": what, "nights": states}
            night = self.night(here, place, config)
        raise TimeoutError(f"no night came through: {states}")

    def moment(self, here: Site, point: Point, place: Path, night: str) -> bool:
        """Wait for the moment of a point; False where the run was through before."""
        looked = time.monotonic()
        while len(parts(place)) < point.parts:
            self.rest(POLL_SECONDS)
            if time.monotonic() - looked > 2:
                looked = time.monotonic()
                if here.state(night)["state_type"] in ENDED:
                    return False
        self.rest(point.wait)
        return here.state(night)["state_type"] not in ENDED

    def end_of(self, here: Site, night: str, place: Path, full: bool) -> str:
        """How a run ended. One that nobody carries out any more is left behind, as the schedule would."""
        begin = silent = time.monotonic()
        while True:
            state = here.state(night)
            if state["state_type"] in ENDED:
                if full:
                    enlarge_disk(place)
                return state["state_type"]
            if state["state_name"] == "AwaitingRetry" and full:
                enlarge_disk(place)
                full = False
            if state["state_type"] == "RUNNING" or state["state_name"] == "AwaitingConcurrencySlot":
                silent = time.monotonic()
            if time.monotonic() - silent > SILENT_SECONDS:
                return f"LEFT {state['state_name']}"
            if time.monotonic() - begin > NIGHT_SECONDS:
                return f"STUCK {state['state_name']}"
            self.rest(1)


def measure(arguments: argparse.Namespace) -> Outcome:
    """All points, on as many sites as there are jobs."""
    possible = {"disk": can_mount(), "clock": can_move_clocks()}
    kinds = [kind for kind in arguments.kinds if possible.get(kind, True)]
    with _folder(arguments.keep) as root:
        chaos, starting = Chaos(root, arguments), threading.Lock()
        ready, drawn = threading.Event(), list[Point]()

        def on_site(number: int) -> list[dict[str, Any]]:
            with site(root / f"site{number}", chaos.source, starting) as here:
                if number == 0:
                    try:
                        times = chaos.undisturbed(here)
                        drawn.extend(draw_points(arguments.points, kinds, times, arguments.seed))
                    finally:
                        ready.set()
                while not ready.wait(1):
                    chaos.rest(0)
                # Those with a movable clock last: the worker has to be started anew for them.
                mine = sorted(drawn[number :: arguments.jobs], key=lambda point: point.kind == "clock")
                return [_tell(chaos.point(here, point)) for point in mine]

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with ThreadPoolExecutor(arguments.jobs) as sites:
            try:
                told = [one for found in sites.map(on_site, range(arguments.jobs)) for one in found]
            except KeyboardInterrupt:
                chaos.stopped.set()
                raise
    return _outcome(told, chaos, kinds, arguments)


@contextmanager
def _folder(keep: bool) -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lexveil-chaos-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _tell(told: dict[str, Any]) -> dict[str, Any]:
    print(told, file=sys.stderr, flush=True)
    return told


def _outcome(
    told: list[dict[str, Any]], chaos: Chaos, kinds: list[str], arguments: argparse.Namespace
) -> Outcome:
    def count(wrong: Callable[[dict[str, Any]], Any]) -> int:
        return sum(bool(wrong(one)) for one in told)

    usual = Counter(chaos.expected["ledger_entries"])
    figures = {
        "points": Figure(len(told), arguments.points, "points", "higher"),
        "kinds": Figure(len(kinds), len(KINDS), "kinds", "higher"),
        "faults_that_hit": Figure(count(lambda one: one.get("hit")), None, "points", "higher"),
        "states_different": Figure(count(lambda one: one["different"]), 0, "points", "lower"),
        "never_through": Figure(count(lambda one: "error" in one), 0, "points", "lower"),
        "files_left_half_written": Figure(count(lambda one: one["leftovers"]), 0, "points", "lower"),
        "with_orphans": Figure(count(lambda one: one["orphans"]), 0, "points", "lower"),
        "ledgers_with_other_entries": Figure(
            count(lambda one: Counter(one["ledger"] or []) != usual), None, "points", "lower"
        ),
        "nights_needed": Figure(
            statistics.fmean(len(one.get("nights", [])) for one in told), None, "nights", "lower"
        ),
    }
    by_kind = {kind: sum(one["kind"] == kind for one in told) for kind in kinds}
    sizes = {"points": len(told), "documents": arguments.documents, "jobs": arguments.jobs, **by_kind}
    details = {"points": sorted(told, key=lambda one: one["point"]), "expected": chaos.expected}
    return Outcome(figures, sizes, [arguments.seed], details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=3, help="sites side by side")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--documents", type=int, default=16)
    parser.add_argument("--shard-documents", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folders, to look into them")


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("LEXVEIL_MASTER_KEY", "5a" * 32)
    run(__doc__, measure, _options)
