"""What a run came to: the record behind `run.json`, the JSON on the command line and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from lexveil.pipeline.stages.evaluate import Evaluation
from lexveil.pipeline.training.reservations import open_ledger
from lexveil.pipeline.workspace.features import format_features_path
from lexveil.pipeline.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Spent:
    """The ledger's account of the population after the run.

    Attributes:
        total: epsilon of all runs together, by the ledger's filter, at `delta`.
        runs: each run's (reservation, epsilon alone, state).
        head: hash of the ledger's last entry, so that a cut-off ledger can be found out later.
    """

    population: str
    unit: str
    total: float
    limit: float
    delta: float
    runs: tuple[tuple[str, float, str], ...]
    head: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run. Counts, scores and losses are measured on private documents and carry no noise."""

    run_id: str
    started: str
    finished: str
    ingested: int
    duplicates: int
    erased: int
    quarantined: int
    quarantine: Mapping[str, int]
    masked: int
    spans_by_type: Mapping[str, int]
    chunks: Mapping[str, int]
    model: str
    card: Mapping[str, Any]
    trained_now: bool
    unprotected_losses: tuple[float, ...]
    feature_rows: int
    spent: Spent
    evaluation: Evaluation
    seconds: Mapping[str, float] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)  # of the second pass: PASS, REVIEW, FAIL
    reasons: Mapping[str, int] = field(
        default_factory=dict
    )  # of the verdicts; language: documents not served
    detection: Mapping[str, Any] = field(
        default_factory=dict
    )  # `lexveil.pipeline.masking.scores.collect_scores`
    batch: Mapping[str, Any] = field(default_factory=dict)  # `lexveil.pipeline.monitoring.batches.measure`
    changed: bool = True
    redone: Mapping[str, str] = field(default_factory=dict)  # by stage, what was redone and why
    forgotten: int = 0  # versions of changed documents, and documents erased because their file is gone

    def to_json(self, workspace: Workspace) -> dict[str, Any]:
        """The object that `lexveil run --json` prints."""
        data = asdict(self)
        evaluation = data.pop("evaluation")
        del evaluation["encrypted"]["error_bound"]  # not part of the format of run.json
        return {
            **data,
            # A step that drew no owner has no loss, and JSON has no NaN.
            "unprotected_losses": [loss if isfinite(loss) else None for loss in self.unprotected_losses],
            "epsilon": self.card["epsilon"],
            "delta": self.card["delta"],
            "unit": self.card["unit"],
            "features": format_features_path(workspace),
            "report": str(report_path(workspace, self.run_id)),
            **evaluation,
        }


def report_path(workspace: Workspace, run_id: str) -> Path:
    """Where a run's report lies."""
    return workspace.runs / run_id / "report.html"


def compute_spending(workspace: Workspace) -> Spent:
    """Compute what the configured population has spent."""
    ledger, population = open_ledger(workspace)
    try:
        limit = ledger.limit(population)
        assert limit is not None
        runs = tuple(
            (found.id, found.charge.epsilon(limit.delta), found.state)
            for found in ledger.reservations(population)
        )
        total = ledger.spent_epsilon(population, limit.delta)
        head = ledger.verify().head
    finally:
        ledger.close()
    return Spent(population.name, population.unit, total, limit.epsilon, limit.delta, runs, head)
