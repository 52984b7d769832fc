"""How cost grows: with the shards of a stage, the runs in the ledger, and the documents of a workspace.

All are CPU seconds of one process on one thread. Figures, each by itself with `--only`:

* `listing`: eight stages of `--shards` shards that are done are looked through; and how much longer one more
  part takes to write in such a folder than in an empty one, times all shards of eight tables.
* `ledger`: a ledger of `--runs` runs (each two entries). The account of a night (`compute_spending`: what is
  spent, the last runs, the check of everything that is new), the history that is drawn, a full verification,
  and the admission of one more run. Beside it the account where all runs had another sample rate, as a
  population that grows each night has.
* `night`: one new document in a workspace of `--small` documents, and of `--large`, in which a model is
  trained: the whole job without the start of a process. Their ratio, and what each stage took. Best of three
  nights.
* `bytes`: bytes on disk a character of text after the main job, in all folders that grow with documents: all
  but models and reports. Documents are generated, or those of `--corpus` (JSONL with `text` and `label`).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.contract import Figure, Outcome, run

T = TypeVar("T")
ROUNDS, SEED = 3, 7
FIGURES = ("listing", "ledger", "night", "bytes")
_DO_NOT_GROW = ("models", "runs")
_TABLES = 8
_KINDS = ("lease", "sale", "loan", "note")


def cpu_seconds(work: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of this process, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def listing(count: int, folder: Path) -> tuple[float, float]:
    """CPU seconds of looking through eight finished stages, and of what listings add to writing them."""
    import pyarrow as pa

    from lexveil.pipeline.records import Shard, ShardResult, run_one_by_one
    from lexveil.pipeline.workspace import tables
    from lexveil.pipeline.workspace.shards import run_stage, write_manifest

    parts, empty = folder / "parts", folder / "empty"
    parts.mkdir()
    shards = [Shard(index, f"{index:032x}") for index in range(count)]
    for shard in shards:
        tables.part_path(parts, shard.index).touch()
    counts = {f"spans.{name}": 7 for name in ("PERSON", "DATE", "ORGANIZATION", "ADDRESS", "EMAIL")}
    results = [ShardResult(shard.index, shard.key, 30, "0" * 32, counts) for shard in shards]
    write_manifest(parts, "mask", results, {})

    def refuse(_: Shard) -> ShardResult:
        raise RuntimeError("a finished shard was made again")

    whole, _ = cpu_seconds(lambda: run_stage(parts, "mask", shards, refuse, run_one_by_one))
    table = pa.table({"doc_id": ["a"]})

    least = {parts: 1.0, empty: 1.0}
    for shard in shards[:40]:
        for place in least:  # in turns, and the least of each: other work on the machine only adds
            seconds, _ = cpu_seconds(partial(tables.write_part, place, shard, table))
            least[place] = min(least[place], seconds)
    return whole * _TABLES, max(0.0, least[parts] - least[empty]) * count * _TABLES


def write_ledger(path: Path, runs: int, unlike: bool) -> None:
    """Append runs to a ledger that has a limit, by the same arithmetic as `reserve`, in one transaction."""
    from lexveil.privacy.dp.ledger.budget import Charge, filter_order, fold_entries
    from lexveil.privacy.dp.ledger.chain import Entry, canonical_json
    from lexveil.privacy.dp.ledger.ledger import Ledger

    ledger = Ledger(f"sqlite:///{path}")
    (population,), entries = ledger.populations(), list(ledger.entries())
    ledger.close()
    account, added = fold_entries(entries, population), list[Entry]()
    assert account.limit is not None
    for number in range(runs):
        charge = Charge(20.0, 0.01 * (1 + 1e-5 * number * unlike), 20)
        order = account.order or filter_order(charge, account.limit)
        total = account.epsilon_with(charge, account.limit, order)
        reserved = charge.to_payload() | {"order": order, "total": total}
        for kind, payload, key in (("reserve", reserved, f"run {number}"), ("commit", {"steps": 20}, None)):
            at, name = "2026-01-01T00:00:00+00:00", f"{number:032x}"
            draft = Entry(
                entries[-1].seq + 1, at, kind, *population.key, name, key, canonical_json(payload),
                entries[-1].hash, "",
            )  # fmt: skip
            entry = replace(draft, hash=draft.digest())
            entries.append(entry)
            added.append(entry)
            account.add(entry)
    with contextlib.closing(sqlite3.connect(path)) as file:
        rows = [tuple(asdict(entry).values()) for entry in added]
        file.executemany(f"INSERT INTO entries VALUES ({', '.join('?' * 11)})", rows)
        file.commit()


def measure_ledger(runs: int, unlike: bool, folder: Path) -> dict[str, float]:
    """CPU seconds by what was done with a ledger of so many runs."""
    from lexveil.pipeline.reports.summary import compute_spending
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.stages.ingest import ingest
    from lexveil.pipeline.training.reservations import open_ledger
    from lexveil.pipeline.workspace.workspace import Workspace
    from lexveil.privacy.dp import accounting
    from lexveil.privacy.dp.ledger.budget import Charge, spending_history

    source = folder / "one.txt"
    source.write_text("The lease of the unit is governed by the law of the place.")
    workspace = Workspace.create_or_open(folder / "w").with_settings(load_settings(None))
    ingest(workspace, [source])
    ledger, population = open_ledger(workspace)
    ledger.set_limit(population, 1e4, 1e-6)
    ledger.close()
    write_ledger(workspace.protected / "ledger.sqlite", runs, unlike)
    first, spent = cpu_seconds(lambda: compute_spending(workspace))
    if not spent.intact:
        raise RuntimeError("the ledger that was made does not verify")
    accounting.clear_caches()  # each night is a process of its own
    account, _ = cpu_seconds(lambda: compute_spending(workspace))
    ledger = workspace.ledger
    try:
        history, _ = cpu_seconds(lambda: spending_history(ledger.entries(), population))
        verified, _ = cpu_seconds(ledger.verify)
        reserved, _ = cpu_seconds(lambda: ledger.reserve(population, Charge(20.0, 0.01, 20), "one more"))
    finally:
        ledger.close()
    times = {"first_night": first, "account": account, "history": history, "verify": verified}
    return times | {"reserve": reserved}


def _record(number: int) -> str:
    kind = _KINDS[number % len(_KINDS)]
    text = (
        f"Clause {number}. The {kind} of unit {number * 7919 % 100003} shall be governed by the law of the "
        f"place number {number}, and Mr. John Miller signs it for the owner."
    )
    return json.dumps({"id": f"d{number}", "text": text, "label": kind})


def nights(documents: int, folder: Path) -> dict[str, Any]:
    """CPU seconds of a night with one new document, in all and by stage, and of one without any."""
    source = folder / "in"
    source.mkdir(parents=True)
    (source / "all.jsonl").write_text("".join(_record(number) + "\n" for number in range(documents)))
    first = _night(source, folder / "w")
    best: dict[str, Any] = {}
    for number in range(ROUNDS):
        (source / f"new{number}.jsonl").write_text(_record(documents + number) + "\n")
        night = _night(source, folder / "w")
        if not best or night["total"] < best["total"]:
            best = night
    idle = _night(source, folder / "w")
    return {"first": first["total"], "one_new": best["total"], "idle": idle["total"], "stages": best}


def disk(corpus: Path | None, folder: Path) -> dict[str, float]:
    """Bytes on disk a character of the documents, by folder."""
    from fixtures.generate import generate

    if corpus is None:
        generate(folder / "in", 200, SEED, "jsonl")
        corpus = folder / "in" / "corpus" / "records" / "matters.jsonl"
    texts = [json.loads(line)["text"] for line in corpus.read_text(encoding="utf-8").splitlines()]
    _night(corpus, folder / "w")
    characters, sizes = sum(map(len, texts)), dict[str, float]()
    for path in sorted((folder / "w").rglob("*")):
        parts = path.relative_to(folder / "w").parts
        if path.is_file() and not path.is_symlink() and parts[0] not in _DO_NOT_GROW:
            name = "/".join(parts[:2]) if parts[0] == "protected" else parts[0]
            sizes[name] = sizes.get(name, 0) + path.stat().st_size / characters
    return sizes


def _night(source: Path, place: Path) -> dict[str, float]:
    from lexveil.pipeline.job import run_job
    from lexveil.pipeline.request import (
        make_request,
        prepare_workspace,
        reuse_last_result,
        scan_request,
        submit_request,
    )
    from lexveil.pipeline.settings import load_settings

    settings = load_settings(
        None,
        ingest={"label_field": "label"},
        mask={"detector": "rules"},
        train={"model": "linear", "steps": 5},
        encrypted={"sample": 4},
    )

    def work() -> dict[str, float]:
        scan = scan_request(place, settings, [source])
        if reuse_last_result(place, settings, [source], scan) is not None:
            return {}
        workspace = prepare_workspace(place, settings, [source], False, scan)
        request = make_request(workspace, [source])
        submit_request(workspace, request)
        with _stage_seconds() as stages:
            run_job(workspace, request)
        return stages

    with contextlib.redirect_stderr(io.StringIO()):
        total, stages = cpu_seconds(work)
    return {"total": round(total, 3), **{name: round(value, 3) for name, value in stages.items()}}


@contextlib.contextmanager
def _stage_seconds() -> Generator[dict[str, float]]:
    """CPU seconds of each stage of a job that runs in this process."""
    from lexveil.pipeline.monitoring.watch import RunMonitor

    stages: dict[str, float] = {}
    whole = RunMonitor.run_stage

    def timed(self: RunMonitor, name: str, work: Callable[[], T]) -> T:
        seconds, result = cpu_seconds(lambda: whole(self, name, work))
        stages[name] = stages.get(name, 0.0) + seconds
        return result

    RunMonitor.run_stage = timed
    try:
        yield stages
    finally:
        RunMonitor.run_stage = whole


def measure(arguments: argparse.Namespace) -> Outcome:
    """The chosen figures, or all of them."""
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    import torch

    from lexveil.flows.environment import collect_seldom

    torch.set_num_threads(1)
    collect_seldom()  # as `lexveil` does
    figures: dict[str, Figure] = {}
    details: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    chosen = arguments.only or FIGURES
    try:
        if "listing" in chosen:
            whole, added = listing(arguments.shards, folder)
            figures["listing_done"] = Figure(whole, 10, "CPU-s", "lower")
            figures["listing_while_written"] = Figure(added, 10, "CPU-s", "lower")
        if "ledger" in chosen:
            for name, unlike in (("alike", False), ("unlike", True)):
                (folder / name).mkdir()
                details[f"ledger_{name}"] = measure_ledger(arguments.runs, unlike, folder / name)
            alike = details["ledger_alike"]
            figures["ledger_account"] = Figure(alike["account"], 1, "CPU-s", "lower")
            figures["ledger_history"] = Figure(alike["history"], 5, "CPU-s", "lower")
            figures["ledger_verify"] = Figure(alike["verify"], None, "CPU-s", "lower")
            unalike = details["ledger_unlike"]
            figures["ledger_account_unlike"] = Figure(unalike["account"], None, "CPU-s", "lower")
        if "night" in chosen:
            nights(8, folder / "warm")  # models and fonts are loaded once
            small = details["night_small"] = nights(arguments.small, folder / "small")
            large = details["night_large"] = nights(arguments.large, folder / "large")
            figures["night_small"] = Figure(small["one_new"], None, "CPU-s", "lower")
            figures["night_large"] = Figure(large["one_new"], None, "CPU-s", "lower")
            figures["night_ratio"] = Figure(large["one_new"] / small["one_new"], 2, "x", "lower")
        if "bytes" in chosen:
            sizes = details["bytes"] = disk(arguments.corpus, folder / "disk")
            figures["bytes_a_character"] = Figure(sum(sizes.values()), 1.3, "B", "lower")
    finally:
        shutil.rmtree(folder)
    names = ("shards", "runs", "small", "large")
    return Outcome(figures, {name: getattr(arguments, name) for name in names}, [SEED], details)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", action="append", choices=FIGURES)
    parser.add_argument("--shards", type=int, default=30_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--small", type=int, default=1_000, help="documents")
    parser.add_argument("--large", type=int, default=10_000, help="documents")
    parser.add_argument("--corpus", type=Path, help="records for `bytes`")
    parser.add_argument("--folder", default=None, help="where the workspaces are made")


if __name__ == "__main__":
    run(__doc__, measure, _options)
