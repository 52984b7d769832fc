"""The batch of documents that are new in a run, compared with the batches of earlier runs.

A document counts as new from the moment that its key was made, so a batch is the documents between two such
moments. `run.json` stores counts of it, never rows: a stored mean of one document's features would outlive
the document's erasure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.monitoring.drift import (
    WINDOW,
    Batch,
    Distance,
    ExpectedRate,
    FeatureSample,
    Rate,
    batch_to_json,
    compute_rate,
    judge_features,
    judge_rates,
)
from lexveil.pipeline.records import Manifest
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.features import find_current_features
from lexveil.pipeline.workspace.runs import RunRecord, read_run
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace

MOST_RUNS = 60  # only the newest runs are compared
FEATURES = "features"  # stands for the features among the names of rates that stand out
QUARANTINED, REVIEW, HELD_BACK = "quarantined", "for review", "held back"
_SHARDS_OF_NEW, _ROWS_OF_NEW = 8, 400
_SHARDS_OF_EARLIER, _ROWS_OF_EARLIER = 4, 40


@dataclass(frozen=True, slots=True)
class PastRun:
    """An earlier run.

    Attributes:
        record: its `run.json`.
    """

    record: RunRecord

    @property
    def batch(self) -> Batch:
        """Batch of the documents that were new in the run."""
        batch = self.record.batch
        rates = {name: Rate(total, dispersion) for name, (total, dispersion) in batch.rates.items()}
        return Batch(batch.documents, batch.owners, rates, batch.unlike)

    @property
    def until(self) -> float:
        """Moment of the newest key of its documents."""
        return self.record.batch.until

    @property
    def recipe(self) -> str:
        """Digest of the settings of masking."""
        return self.record.batch.recipe

    @property
    def distance(self) -> float | None:
        """Distance of its features from those of earlier batches; None if it was not measured."""
        distance = self.record.batch.distance
        return None if distance is None else distance.value


def read_past_runs(workspace: Workspace, excluded: str | None = None) -> list[PastRun]:
    """Read the newest finished runs, the oldest first.

    They are ordered by their documents' keys: a clock that was wrong once must not hide all later batches.

    Args:
        workspace: the workspace.
        excluded: id of a run to leave out.
    """
    if not workspace.runs.exists():
        return []
    names = sorted(entry.name for entry in workspace.runs.iterdir() if entry.name != excluded)
    runs: list[PastRun] = []
    for name in reversed(names):
        record = read_run(workspace, name)
        if record is not None and record.has_batch:
            runs.append(PastRun(record))
        if len(runs) == MOST_RUNS:
            break
    return sorted(runs, key=lambda run: (run.until, run.record.started, run.record.run_id))


def measure_batch(workspace: Workspace, run_id: str, ingested: Manifest) -> dict[str, Any]:
    """Measure the batch that is new in a run, and compare it with earlier ones.

    Args:
        workspace: the workspace.
        run_id: id of the run.
        ingested: manifest of its ingestion.

    Returns:
        What `run.json` stores of the batch: `documents`, `owners`, `rates` (name: total, dispersion),
        `expected` (name: rate, low, high), `distance` of the features, and `unlike` (names of what stands
        out); for the next run also `until`, `quarantine` and `recipe`.
    """
    past = read_past_runs(workspace, run_id)
    since = past[-1].until if past else 0.0
    new = _list_arrivals(workspace, since)
    waiting = ingested.total("quarantined")
    quarantined = max(0, waiting - (past[-1].record.batch.quarantine if past else 0))
    batch = _count_batch(workspace, new, quarantined)
    recipe = compute_digest(workspace.settings.mask.model_dump(mode="json"))
    # Compare only with batches that were masked under the same settings.
    comparable = [run.batch for run in past if run.recipe == recipe and run.batch.judgeable]
    expected = judge_rates(batch, comparable)
    distance = _measure_distance(workspace, new, past) if batch.judgeable else None
    unlike = {name for name, rate in expected.items() if rate.stands_out}
    if distance is not None and distance.stands_out:
        unlike.add(FEATURES)
    return {
        **batch_to_json(Batch(batch.documents, batch.owners, batch.rates, frozenset(unlike))),
        "until": max((arrival.at for arrival in new), default=since),
        "quarantine": waiting,
        "recipe": recipe,
        "expected": {name: _expected_to_json(rate) for name, rate in expected.items()},
        "distance": distance
        and {"value": _round(distance.value), "p": distance.p, "limit": _round(distance.limit)},
    }


@dataclass(frozen=True, slots=True)
class Arrival:
    """A document of the workspace.

    Attributes:
        doc_id: its id.
        shard: index of its shard.
        at: moment of its key, in seconds since the epoch.
    """

    doc_id: str
    shard: int
    at: float


def _list_arrivals(workspace: Workspace, since: float) -> list[Arrival]:
    """List the documents whose keys were created after a moment, in the order of the catalogue."""
    created = workspace.keys.keys_since(since)
    catalogue = workspace.catalogue.read(columns=["doc_id", "shard"])
    is_new = pc.is_in(catalogue.column("doc_id"), value_set=pa.array(list(created), pa.string()))
    rows = catalogue.filter(is_new).to_pylist()
    return [Arrival(row["doc_id"], row["shard"], created[row["doc_id"]]) for row in rows]


def _count_batch(workspace: Workspace, documents: Sequence[Arrival], quarantined: int) -> Batch:
    """Count owners, spans and verdicts of some documents."""
    owners: list[str] = []
    spans: list[Mapping[str, int]] = []
    review: list[int] = []
    held_back = 0
    for shard, ids in _group_by_shard(documents).items():
        for row in _read_rows(workspace.masked, shard, ids, ["owner", "spans", "verdict"]):
            owners.append(row["owner"])
            spans.append(json.loads(row["spans"]))
            review.append(row["verdict"] == "REVIEW")
        held_back += len(_read_rows(workspace.held_back, shard, ids, []))
    types = sorted({kind for counts in spans for kind in counts})
    rates = {kind: compute_rate([counts.get(kind, 0) for counts in spans], owners) for kind in types}
    rates |= {
        REVIEW: compute_rate(review, owners),
        QUARANTINED: Rate(quarantined),
        HELD_BACK: Rate(held_back),
    }
    return Batch(len(owners), len(set(owners)), rates)


def _group_by_shard(documents: Sequence[Arrival]) -> dict[int, set[str]]:
    ids: dict[int, set[str]] = {}
    for arrival in documents:
        ids.setdefault(arrival.shard, set()).add(arrival.doc_id)
    return dict(sorted(ids.items()))


def _read_rows(folder: Path, shard: int, ids: set[str], columns: list[str]) -> list[dict[str, Any]]:
    """Read some columns of the documents that a shard's part contains."""
    path = tables.part_path(folder, shard)
    if not path.exists():
        return []
    rows = tables.read_part(path, ["doc_id", *columns]).to_pylist()
    return [row for row in rows if row["doc_id"] in ids]


def _measure_distance(
    workspace: Workspace, new: Sequence[Arrival], past: Sequence[PastRun]
) -> Distance | None:
    """Measure the distance of a batch's features from those of earlier batches, all by the current model."""
    try:
        folder = find_current_features(workspace)
    except WorkspaceError:
        return None
    begins = (0.0, *(run.until for run in past))
    known = [(begin, run) for begin, run in zip(begins, past, strict=False) if run.batch.judgeable][-WINDOW:]
    arrivals = _list_arrivals(workspace, known[0][0]) if known else []
    current = _sample_rows(folder, new, _SHARDS_OF_NEW, _ROWS_OF_NEW)
    earlier: list[_Row] = []
    for number, (begin, run) in enumerate(known):
        documents = [arrival for arrival in arrivals if begin < arrival.at <= run.until]
        rows = _sample_rows(folder, documents, _SHARDS_OF_EARLIER, _ROWS_OF_EARLIER)
        # An owner with documents in two batches counts as two units, as in the counts of the batches.
        earlier += [(features, f"{number}:{owner}") for features, owner in rows]
    if not current or not earlier:
        return None
    distances = [run.distance for _, run in known if run.distance is not None]
    return judge_features(_to_sample(current), _to_sample(earlier), distances)


_Row = tuple[Any, str]


def _to_sample(rows: Sequence[_Row]) -> FeatureSample:
    return FeatureSample(
        np.array([features for features, _ in rows], np.float64), [owner for _, owner in rows]
    )


def _sample_rows(folder: Path, documents: Sequence[Arrival], most_shards: int, most_rows: int) -> list[_Row]:
    """Sample (features, owner) of some documents, from evenly spaced shards."""
    by_shard = _group_by_shard(documents)
    shards = list(by_shard)
    indices = np.unique(np.linspace(0, len(shards) - 1, most_shards).astype(int)) if shards else []
    columns = ["owner", "features"]
    rows = [
        row
        for shard in (shards[index] for index in indices)
        for row in _read_rows(folder, shard, by_shard[shard], columns)
    ]
    if len(rows) > most_rows:
        kept = np.random.default_rng(0).choice(len(rows), most_rows, replace=False)
        rows = [rows[index] for index in sorted(kept)]
    return [(row["features"], row["owner"]) for row in rows]


def _expected_to_json(expected: ExpectedRate) -> list[float]:
    return [_round(expected.rate), _round(expected.low), _round(expected.high)]


def _round(value: float) -> float:
    return float(f"{value:.5g}")
