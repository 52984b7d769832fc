"""The ledger under random crash and concurrency schedules: two processes, one ledger, kill -9 at any moment.

A schedule draws its jobs from a seed: runs in two populations, each with an idempotency key of its own,
some wanted by both processes; a limit that is raised or lowered; an erasure, after which the same runs come
back with other data, hence under other keys. A process reserves, releases steps, and commits, gives up or
walks away; both are killed at a random moment (on PostgreSQL the server also ends their sessions at another),
then two more go over the same jobs to the end, as a scheduler's retries would.

Each process writes what it released to a file of its own *before* it releases it. An oracle that shares no
code with the ledger's sums (dp-accounting's Renyi accountant on what the files say) then asks:

past_limit      was a run admitted with which its population's charged runs passed the limit in force, or
                did a population release more than the largest limit it ever had?
under_counts    was a step released that the ledger does not charge: under no reservation, beyond a run's
                charged steps, under a second secret, or with a total above what the ledger says?

Kills fall where the clock puts them, so a seed repeats a schedule's jobs and delays, not its interleaving.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import os
import random
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.contract import Figure, Outcome, run
from fixtures.postgres import NoPostgres, new_database, server
from lexveil.privacy.dp.ledger.admission import BudgetExceededError
from lexveil.privacy.dp.ledger.chain import Entry
from lexveil.privacy.dp.ledger.ledger import Charge, Ledger, LedgerConflictError, Population
from lexveil.privacy.dp.sampled_gaussian import Truncation

SEED = 1
# What the ledger shows is the best of several orders, so it may not be below the best of these.
_ORDERS = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
DELTA = 1e-5
POPULATIONS = (Population("first", "owner"), Population("second", "document"))
LIMITS = (1.5, 3.0, 4.0)
CHARGES = (
    Charge(8.0, 0.2, 40),
    Charge(16.0, 0.2, 100),
    Charge(6.0, 0.05, 60),
    Charge(8.0, 0.2, 40, Truncation(30, 100)),
    Charge(2.4, 0.2, 60),  # by itself nearly a whole limit
)
_LONGEST_DELAY_S = 0.25
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Job:
    """A run for a process: `steps` steps of it happen, then it ends as `end` says."""

    population: Population
    charge: Charge
    key: str
    steps: int
    end: str


@dataclass(frozen=True, slots=True)
class Found:
    """The oracle's findings about a schedule, and how much happened in it."""

    past_limit: int
    under_counts: int
    runs: int
    refused: int
    killed: int
    broken: int


def jobs_of(source: random.Random) -> list[Job | float]:
    """The jobs of a schedule, in order; a number is a new limit."""
    jobs: list[Job | float] = []
    for version in range(source.choice((1, 2))):  # after an erasure the data, and so the keys, are others
        for number in range(source.randint(3, 5)):
            charge = source.choice(CHARGES)
            end = source.choice(("commit", "commit", "commit", "abandon", "walk away", "no step"))
            steps = 0 if end == "no step" else source.randint(1, charge.steps)
            jobs.append(Job(source.choice(POPULATIONS), charge, f"data {version} run {number}", steps, end))
            if source.random() < 0.15:
                jobs.append(source.choice(LIMITS))
    return jobs


def schedule(seed: int, url: str, folder: Path, terminate: Callable[[], None] | None = None) -> Found:
    """Run one schedule on the empty ledger at `url` and judge it. `terminate` ends all sessions of it."""
    source = random.Random(seed)
    ledger = Ledger(url)
    for population in POPULATIONS:
        ledger.set_limit(population, source.choice(LIMITS), DELTA)
    jobs = jobs_of(source)
    killed = 0
    for attempt, kill in enumerate((True, source.random() < 0.5, False)):
        workers = [
            _start(_work, url, folder, _shuffled(jobs, source), f"{attempt}-{number}") for number in range(2)
        ]
        if kill:
            delays = sorted(source.uniform(0, _LONGEST_DELAY_S) for _ in range(3))
            time.sleep(delays[0])
            if terminate is not None:
                terminate()
            for worker, until in zip(workers, delays[1:], strict=True):
                time.sleep(until - delays[0] if worker == workers[0] else until - delays[1])
                os.kill(worker, signal.SIGKILL)
        statuses = [os.waitpid(worker, 0)[1] for worker in workers]
        killed += sum(os.WIFSIGNALED(status) for status in statuses)
        if not kill and any(statuses):
            raise RuntimeError("a worker failed without being killed")
    past, under, runs = judge(ledger, _released(folder))
    refused = sum(path.read_text().count('"refused"') for path in folder.glob("*.jsonl"))
    return Found(past, under, runs, refused, killed, int(not ledger.verify().ok))


def _shuffled(jobs: Sequence[Job | float], source: random.Random) -> list[Job | float]:
    mine = [job for job in jobs if source.random() < 0.8]
    if source.random() < 0.5:
        source.shuffle(mine)
    return mine


def _start(work: Callable[..., None], *arguments: Any) -> int:
    """A forked child, so that imports and the accountant's caches are paid once."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(*arguments)
        code = 0
    finally:
        os._exit(code)


def _work(url: str, folder: Path, jobs: Sequence[Job | float], name: str) -> None:
    ledger = Ledger(url)
    with (folder / f"{name}.jsonl").open("a") as journal:
        for job in jobs:
            if not isinstance(job, Job):
                ledger.set_limit(POPULATIONS[0], job, DELTA)
                continue
            with _only_one(folder / f"{job.population.name} {job.key}.lock"):
                _do(ledger, job, journal)


@contextmanager
def _only_one(path: Path) -> Generator[None]:
    """As a workspace's lock does: a run is in one process at a time, and a killed one lets go."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _do(ledger: Ledger, job: Job, journal: Any) -> None:
    def write(**what: Any) -> None:
        journal.write(json.dumps(what) + "\n")
        journal.flush()  # a killed process loses what it buffered, not what it handed over

    try:
        run = ledger.reserve(job.population, job.charge, job.key, os.urandom(16))
    except BudgetExceededError:
        write(kind="refused")
        return
    if run.state != "open":
        return
    assert run.secret is not None
    for step in range(job.steps):
        write(kind="released", reservation=run.id, secret=run.secret.hex(), step=step)
    if job.end in ("commit", "no step"):
        ledger.commit(run.id, job.steps)
    elif job.end == "abandon":
        try:
            ledger.abandon(run.id)
        except LedgerConflictError:
            write(kind="settled by another")


def _released(folder: Path) -> list[dict[str, Any]]:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines(True)]
    # A line cut off by a kill was never released: it is written before.
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event for event in events if event["kind"] == "released"]


def judge(ledger: Ledger, released: Sequence[dict[str, Any]]) -> tuple[int, int, int]:
    """(runs past the limit, under-counts, runs), by sums that are not the ledger's."""
    entries = ledger.entries()
    charged = {run.id: run for population in POPULATIONS for run in ledger.reservations(population)}
    steps: dict[str, int] = defaultdict(int)
    secrets: dict[str, set[str]] = defaultdict(set)
    for event in released:
        steps[event["reservation"]] = max(steps[event["reservation"]], event["step"] + 1)
        secrets[event["reservation"]].add(event["secret"])
    under = sum(
        run not in charged or count > charged[run].charged_steps or len(secrets[run]) > 1
        for run, count in steps.items()
    )
    past = 0
    for population in POPULATIONS:
        mine = [entry for entry in entries if entry.key == population.key]
        largest = max(entry.parse_payload()["epsilon"] for entry in mine if entry.kind == "limit")
        truly = [(charged[run].charge, count) for run, count in steps.items()
                 if run in charged and charged[run].population == population]  # fmt: skip
        order = next((entry.parse_payload()["order"] for entry in mine if entry.kind == "reserve"), None)
        total = _epsilon(truly, order)
        least = min((_epsilon(truly, one) for one in (order, *_ORDERS)), default=0.0)
        under += least > ledger.spent_epsilon(population, DELTA) * (1 + _SLACK)
        past += total > largest * (1 + _SLACK)
        past += _admitted_past(mine)
    return past, under, len(charged)


def _admitted_past(entries: Sequence[Entry]) -> int:
    """Reservations with which everything charged until then passed the limit in force."""
    limit, past = 0.0, 0
    counted: dict[str, tuple[Charge, int]] = {}
    order: float | None = None
    for entry in entries:
        data, name = entry.parse_payload(), entry.reservation or ""
        if entry.kind == "limit":
            limit = data["epsilon"]
        elif entry.kind == "reserve":
            order = order or data["order"]
            counted[name] = (Charge.from_payload(data), data["steps"])
            past += _epsilon([run for run in counted.values() if run[1]], order) > limit * (1 + _SLACK)
        elif entry.kind == "commit":
            counted[name] = (counted[name][0], data["steps"])
    return past


def _epsilon(runs: Sequence[tuple[Charge, int]], order: float | None) -> float:
    """Epsilon of all runs at DELTA: Renyi at one order, or of a single run the better of that and PLD."""
    if not runs or order is None:
        return 0.0
    divergence = sum(_divergence(charge, order) * steps for charge, steps in runs)
    total = divergence + math.log1p(-1 / order) - math.log(DELTA * order) / (order - 1)
    if len(runs) == 1:
        charge, _ = runs[0]
        total = min(total, _alone(charge))
    return max(0.0, total)


def _step(charge: Charge) -> Any:
    import dp_accounting

    gaussian = dp_accounting.GaussianDpEvent(charge.noise_multiplier)
    return dp_accounting.PoissonSampledDpEvent(charge.sample_rate, gaussian)


@cache
def _divergence(charge: Charge, order: float) -> float:
    from dp_accounting.rdp import RdpAccountant

    # Cut draws have no Renyi accountant elsewhere: the uncut step is what they cost at least.
    return float(RdpAccountant([order]).compose(_step(charge)).rdp[0])


@cache
def _alone(charge: Charge) -> float:
    from dp_accounting import SelfComposedDpEvent, pld

    accountant = pld.PLDAccountant(value_discretization_interval=1e-4)
    return float(accountant.compose(SelfComposedDpEvent(_step(charge), charge.steps)).get_epsilon(DELTA))


def warm() -> None:
    """Fill the accountant's caches before anything is forked."""
    for charge in CHARGES:
        charge.epsilon(DELTA)
        charge.rdp_epsilon(DELTA)
        for order in _ORDERS:
            _divergence(charge, order)


def on_sqlite(seed: int) -> Found:
    """One schedule on a fresh SQLite ledger."""
    with tempfile.TemporaryDirectory() as folder:
        return schedule(seed, f"sqlite:///{folder}/ledger.db", Path(folder))


def on_postgres(seed: int, url: str) -> Found:
    """One schedule on a fresh database of the server at `url`."""
    import psycopg

    name = f"schedule{seed}"
    database = new_database(url, name)

    def terminate() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )

    with tempfile.TemporaryDirectory() as folder:
        return schedule(seed, database, Path(folder), terminate)


def measure(arguments: argparse.Namespace) -> Outcome:
    """All schedules, half of them on PostgreSQL where the machine has it."""
    warm()
    seeds = range(arguments.seed, arguments.seed + arguments.schedules)
    found: list[Found] = []
    databases = {"sqlite": len(seeds), "postgresql": 0}
    details: dict[str, Any] = {}
    try:
        with server() as url:
            half = len(seeds) // 2
            found += [on_postgres(seed, url) for seed in seeds[:half]]
            databases = {"sqlite": len(seeds) - half, "postgresql": half}
    except NoPostgres as reason:
        details["no_postgresql"] = str(reason)
    found += [on_sqlite(seed) for seed in seeds[len(found) :]]

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in found)

    figures = {
        "runs_past_the_limit": Figure(total("past_limit"), 0, "runs", "lower"),
        "under_counts": Figure(total("under_counts"), 0, "runs", "lower"),
        "broken_chains": Figure(total("broken"), 0, "ledgers", "lower"),
    }
    n = databases | {name: total(name) for name in ("runs", "refused", "killed")}
    return Outcome(figures, n | {"schedules": len(found)}, [arguments.seed], details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the first schedule")


if __name__ == "__main__":
    run(__doc__, measure, _options)
