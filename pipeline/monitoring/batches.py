"""What each run brought: the batch of documents that were new in it, held against those of earlier runs.

A document is new from the moment its key was made, so a batch is what lies between two such moments.
`run.json` keeps counts of it, never rows: a kept mean of one document's features would outlive its erasure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.monitoring.drift import (
    WINDOW,
    Batch,
    Cloud,
    Distance,
    Expected,
    Rate,
    judge_features,
    judge_rates,
    rate_of,
    to_json,
)
from lexveil.pipeline.records import Manifest
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.features import find_current_features
from lexveil.pipeline.workspace.runs import RunRecord, read_run
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace

MOST_RUNS = 60  # the newest; older ones stay in their folders
FEATURES = "features"  # among what is unlike, beside the names of the rates
QUARANTINED, REVIEW, HELD_BACK = "quarantined", "for review", "held back"
_SHARDS_OF_NEW, _ROWS_OF_NEW = 8, 400
_SHARDS_OF_EARLIER, _ROWS_OF_EARLIER = 4, 40


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier run.

    Attributes:
        record: what its `run.json` holds.
    """

    record: RunRecord

    @property
    def batch(self) -> Batch:
        """The batch of documents that were new in the run."""
        batch = self.record.batch
        rates = {name: Rate(total, dispersion) for name, (total, dispersion) in batch.rates.items()}
        return Batch(batch.documents, batch.owners, rates, batch.unlike)

    @property
    def until(self) -> float:
        """Moment of the newest key of its documents."""
        return self.record.batch.until

    @property
    def recipe(self) -> str:
        """Digest of the settings that its documents were masked by."""
        return self.record.batch.recipe

    @property
    def distance(self) -> float | None:
        """Distance of its features from those of earlier batches; None where it was not measured."""
        distance = self.record.batch.distance
        return None if distance is None else distance.value


def past_runs(workspace: Workspace, but: str | None = None) -> list[Past]:
    """The newest finished runs, the oldest first, without the run of id `but`.

    Their order is that of their documents' keys: a clock that was wrong once must not hide all later batches.
    """
    if not workspace.runs.exists():
        return []
    names = sorted(entry.name for entry in workspace.runs.iterdir() if entry.name != but)
    found: list[Past] = []
    for name in reversed(names):
        record = read_run(workspace, name)
        if record is not None and record.has_batch:
            found.append(Past(record))
        if len(found) == MOST_RUNS:
            break
    return sorted(found, key=lambda run: (run.until, run.record.started, run.record.run_id))


def measure(workspace: Workspace, run_id: str, ingested: Manifest) -> dict[str, Any]:
    """What `run.json` keeps of the batch that is new in a run.

    documents, owners, `rates` (name: total, dispersion), `expected` (name: rate, low, high), `distance` of
    the features, `unlike` (what stands out, by name); for the next run `until`, `quarantine` and `recipe`.
    """
    past = past_runs(workspace, run_id)
    arrivals = _arrivals(workspace)
    since = past[-1].until if past else 0.0
    new = [arrival for arrival in arrivals if arrival.at > since]
    waiting = ingested.total("quarantined")
    quarantined = max(0, waiting - (past[-1].record.batch.quarantine if past else 0))
    batch = batch_of(workspace, new, quarantined)
    recipe = compute_digest(workspace.settings.mask.model_dump(mode="json"))
    # What was masked otherwise on purpose is no measure for what is masked so now.
    alike = [run.batch for run in past if run.recipe == recipe and run.batch.enough]
    expected = judge_rates(batch, alike)
    distance = _distance(workspace, arrivals, since, past) if batch.enough else None
    unlike = {name for name, found in expected.items() if found.unlike}
    if distance is not None and distance.unlike:
        unlike.add(FEATURES)
    return {
        **to_json(Batch(batch.documents, batch.owners, batch.rates, frozenset(unlike))),
        "until": max((arrival.at for arrival in new), default=since),
        "quarantine": waiting,
        "recipe": recipe,
        "expected": {name: _expected(found) for name, found in expected.items()},
        "distance": distance
        and {"value": _round(distance.value), "p": distance.p, "limit": _round(distance.limit)},
    }


@dataclass(frozen=True, slots=True)
class Arrival:
    """A kept document, where it lies, and when it came: the moment of its key."""

    doc_id: str
    shard: int
    at: float


def _arrivals(workspace: Workspace) -> list[Arrival]:
    catalogue = workspace.catalogue.read()
    ids = tables.to_strings(catalogue, "doc_id")
    created = workspace.keys.creation_times(ids)
    shards: list[Any] = catalogue.column("shard").to_pylist()
    return [
        Arrival(name, shard, created[name])
        for name, shard in zip(ids, shards, strict=True)
        if name in created
    ]


def batch_of(workspace: Workspace, documents: Sequence[Arrival], quarantined: int) -> Batch:
    """The counts of some documents."""
    owners: list[str] = []
    spans: list[Mapping[str, int]] = []
    review: list[int] = []
    held_back = 0
    for shard, ids in _by_shard(documents).items():
        for row in _rows(workspace.masked, shard, ids, ["owner", "spans", "verdict"]):
            owners.append(row["owner"])
            spans.append(json.loads(row["spans"]))
            review.append(row["verdict"] == "REVIEW")
        held_back += len(_rows(workspace.held_back, shard, ids, []))
    types = sorted({kind for found in spans for kind in found})
    rates = {kind: rate_of([found.get(kind, 0) for found in spans], owners) for kind in types}
    rates |= {REVIEW: rate_of(review, owners), QUARANTINED: Rate(quarantined), HELD_BACK: Rate(held_back)}
    return Batch(len(owners), len(set(owners)), rates)


def _by_shard(documents: Sequence[Arrival]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for arrival in documents:
        found.setdefault(arrival.shard, set()).add(arrival.doc_id)
    return dict(sorted(found.items()))


def _rows(folder: Path, shard: int, ids: set[str], columns: list[str]) -> list[dict[str, Any]]:
    """Some columns of those of the documents that lie in a part."""
    path = tables.part_path(folder, shard)
    if not path.exists():
        return []
    rows = tables.read_part(path, ["doc_id", *columns]).to_pylist()
    return [row for row in rows if row["doc_id"] in ids]


def _distance(
    workspace: Workspace, arrivals: Sequence[Arrival], since: float, past: Sequence[Past]
) -> Distance | None:
    """How far the features of a batch lie from those of earlier batches, all made by the model in use."""
    try:
        folder = find_current_features(workspace)
    except WorkspaceError:
        return None
    begins = (0.0, *(run.until for run in past))
    known = [(begin, run) for begin, run in zip(begins, past, strict=False) if run.batch.enough][-WINDOW:]
    found = _sample(folder, [one for one in arrivals if one.at > since], _SHARDS_OF_NEW, _ROWS_OF_NEW)
    earlier: list[_Row] = []
    for number, (begin, run) in enumerate(known):
        came = [one for one in arrivals if begin < one.at <= run.until]
        rows = _sample(folder, came, _SHARDS_OF_EARLIER, _ROWS_OF_EARLIER)
        # An owner whose documents came in two nights is two units of chance there too.
        earlier += [(features, f"{number}:{owner}") for features, owner in rows]
    if not found or not earlier:
        return None
    distances = [run.distance for _, run in known if run.distance is not None]
    return judge_features(_cloud(found), _cloud(earlier), distances)


_Row = tuple[Any, str]


def _cloud(rows: Sequence[_Row]) -> Cloud:
    return Cloud(np.array([features for features, _ in rows], np.float64), [owner for _, owner in rows])


def _sample(folder: Path, documents: Sequence[Arrival], most_shards: int, most_rows: int) -> list[_Row]:
    """(features, owner) of some of the documents, out of shards that are spread evenly."""
    by_shard = _by_shard(documents)
    shards = list(by_shard)
    places = np.unique(np.linspace(0, len(shards) - 1, most_shards).astype(int)) if shards else []
    chosen = [shards[place] for place in places]
    rows = [row for shard in chosen for row in _rows(folder, shard, by_shard[shard], ["owner", "features"])]
    if len(rows) > most_rows:
        kept = np.random.default_rng(0).choice(len(rows), most_rows, replace=False)
        rows = [rows[place] for place in sorted(kept)]
    return [(row["features"], row["owner"]) for row in rows]


def _expected(found: Expected) -> list[float]:
    return [_round(found.rate), _round(found.low), _round(found.high)]


def _round(value: float) -> float:
    return float(f"{value:.5g}")
