"""What each run brought: the batch of documents that were new in it, held against those of earlier runs.

New and changed documents form shards of their own behind the known ones (`pipeline.plan`), so a batch is the
shards that no earlier run has counted. `run.json` keeps counts of it, never rows: a kept mean of the features
of one document would outlive its erasure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pipeline import tables
from pipeline.drift import (
    WINDOW,
    Batch,
    Cloud,
    Distance,
    Expected,
    Rate,
    from_json,
    judge_features,
    judge_rates,
    rate_of,
    to_json,
)
from pipeline.errors import WorkspaceError
from pipeline.features import current_features
from pipeline.records import Manifest
from pipeline.settings import Settings
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, read_json, read_manifest

MOST_RUNS = 60  # the newest; older ones stay in their folders
FEATURES = "features"  # among what is unlike, beside the names of the rates
QUARANTINED, REVIEW, HELD_BACK = "quarantined", "for review", "held back"
_SHARDS_OF_NEW, _ROWS_OF_NEW = 8, 400
_SHARDS_OF_EARLIER, _ROWS_OF_EARLIER = 2, 40


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier run: its `run.json`."""

    data: Mapping[str, Any]

    @property
    def batch(self) -> Batch:
        return from_json(self.data["batch"])

    @property
    def shards(self) -> range:
        return range(*self.data["batch"]["shards"])

    @property
    def recipe(self) -> str:
        return self.data["batch"]["recipe"]

    @property
    def distance(self) -> float | None:
        found = self.data["batch"]["distance"]
        return None if found is None else found["value"]


def past_runs(workspace: Workspace, but: str | None = None) -> list[Past]:
    """The newest finished runs, the oldest first, without the run of id `but`."""
    if not workspace.runs.exists():
        return []
    names = sorted(entry.name for entry in workspace.runs.iterdir() if entry.name != but)
    found: list[Past] = []
    for name in reversed(names):
        data = read_json(workspace.runs / name / "run.json")
        if data is not None and "batch" in data:
            found.append(Past(data))
        if len(found) == MOST_RUNS:
            break
    return sorted(found, key=lambda run: (run.data["started"], run.data["run_id"]))


def measure(
    workspace: Workspace, settings: Settings, run_id: str, ingested: Manifest, masked: Manifest
) -> dict[str, Any]:
    """What `run.json` keeps of the batch that is new in a run.

    shards (first, behind the last), documents, owners, `rates` (name: total, dispersion), `expected` (name:
    rate, low, high), `distance` of the features, `unlike` (what stands out, by name), `recipe`.
    """
    past = past_runs(workspace, run_id)
    first = max((run.shards.stop for run in past), default=0)
    behind = max((shard.index for shard in ingested.shards), default=-1) + 1
    shards = range(min(first, behind), behind)
    batch = batch_of(workspace, ingested, masked, shards)
    recipe = digest_of(settings.mask.model_dump(mode="json"))
    # What was masked otherwise on purpose is no measure for what is masked so now.
    alike = [run for run in past if run.recipe == recipe and run.batch.enough]
    expected = judge_rates(batch, [run.batch for run in alike])
    distance = (
        _distance(workspace, shards, [run for run in past if run.batch.enough]) if batch.enough else None
    )
    unlike = {name for name, found in expected.items() if found.unlike}
    if distance is not None and distance.unlike:
        unlike.add(FEATURES)
    return {
        **to_json(Batch(batch.documents, batch.owners, batch.rates, frozenset(unlike))),
        "shards": [shards.start, shards.stop],
        "recipe": recipe,
        "expected": {name: _expected(found) for name, found in expected.items()},
        "distance": distance
        and {"value": _round(distance.value), "p": distance.p, "limit": _round(distance.limit)},
    }


def batch_of(workspace: Workspace, ingested: Manifest, masked: Manifest, shards: range) -> Batch:
    """The counts of the documents of some shards."""
    owners: list[str] = []
    by_type: dict[str, list[int]] = {}
    review: list[int] = []
    for index in _present(workspace.masked, shards):
        table = tables.read_part(tables.part_path(workspace.masked, index), ["owner", "spans", "verdict"])
        columns = (tables.strings(table, name) for name in ("owner", "spans", "verdict"))
        for owner, spans, verdict in zip(*columns, strict=True):
            for kind, n in json.loads(spans).items():
                counts = by_type.setdefault(kind, [])
                counts.extend([0] * (len(owners) - len(counts)))
                counts.append(n)
            review.append(verdict == "REVIEW")
            owners.append(owner)
    for counts in by_type.values():
        counts.extend([0] * (len(owners) - len(counts)))
    rates = {kind: rate_of(counts, owners) for kind, counts in by_type.items()}
    rates[REVIEW] = rate_of(review, owners)
    rates[QUARANTINED] = Rate(_counted(ingested, shards, "quarantined"))
    rates[HELD_BACK] = Rate(_counted(masked, shards, "verdict:FAIL"))
    return Batch(len(owners), len(set(owners)), rates)


def _counted(manifest: Manifest, shards: range, name: str) -> int:
    return sum(shard.counts.get(name, 0) for shard in manifest.shards if shard.index in shards)


def _present(folder: Path, shards: range, stage: str = "mask") -> list[int]:
    return [
        shard.index for shard in read_manifest(folder, stage).shards if shard.index in shards and shard.rows
    ]


def _distance(workspace: Workspace, shards: range, past: Sequence[Past]) -> Distance | None:
    """How far the features of a batch lie from those of earlier batches, all made by the model in use."""
    known = past[-WINDOW:]
    try:
        folder = current_features(workspace)
    except WorkspaceError:
        return None
    found = _sample(folder, shards, _SHARDS_OF_NEW, _ROWS_OF_NEW)
    others = [_sample(folder, run.shards, _SHARDS_OF_EARLIER, _ROWS_OF_EARLIER) for run in known]
    # An owner whose documents came in two nights is two units of chance there too.
    earlier = [(row, f"{n}:{owner}") for n, rows in enumerate(others) for row, owner in rows]
    if not found or not earlier:
        return None
    return judge_features(
        _cloud(found), _cloud(earlier), [run.distance for run in known if run.distance is not None]
    )


_Row = tuple[Any, str]


def _cloud(rows: Sequence[_Row]) -> Cloud:
    return Cloud(np.array([features for features, _ in rows], np.float64), [owner for _, owner in rows])


def _sample(folder: Path, shards: range, most_shards: int, most_rows: int) -> list[_Row]:
    """(features, owner) of some documents out of shards that are spread evenly."""
    present = _present(folder, shards, "extract")
    places = np.unique(np.linspace(0, max(0, len(present) - 1), most_shards).astype(int))
    spread = [present[place] for place in places] if present else []
    rows = [row for index in spread for row in _rows(tables.part_path(folder, index))]
    if len(rows) <= most_rows:
        return rows
    chosen = np.random.default_rng(0).choice(len(rows), most_rows, replace=False)
    return [rows[place] for place in sorted(chosen)]


def _rows(path: Path) -> Iterator[_Row]:
    table = tables.read_part(path, ["owner", "features"])
    features = pc.list_flatten(table.column("features")).to_numpy().reshape(table.num_rows, -1)
    yield from zip(features, tables.strings(table, "owner"), strict=True)


def _expected(found: Expected) -> list[float]:
    return [_round(found.rate), _round(found.low), _round(found.high)]


def _round(value: float) -> float:
    return float(f"{value:.5g}")
