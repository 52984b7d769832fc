"""The result of a run: the record behind `run.json`, the JSON on the command line, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from lexveil.pipeline.logs import log
from lexveil.pipeline.stages.evaluate import Evaluation
from lexveil.pipeline.training.charges import determine_population, verify_new_entries
from lexveil.pipeline.training.reservations import find_charged_population, read_limit
from lexveil.pipeline.workspace.features import format_features_path
from lexveil.pipeline.workspace.workspace import Workspace

# The ledger has all runs; a record that repeated them would grow with each.
_MOST_RUNS = 10


@dataclass(frozen=True, slots=True)
class Spending:
    """What the ledger says of the population after the run.

    Attributes:
        population: name of the population.
        unit: unit of privacy.
        total: epsilon of all runs together, by the ledger's filter, at `delta`.
        limit: epsilon that may be spent.
        delta: delta of the limit.
        runs: (reservation, epsilon of this run alone, state) of the last runs.
        head: hash of the ledger's last entry, by which a truncated ledger is detected later.
        earlier: number of runs before `runs`.
        open: number of open runs.
        intact: False if the ledger was changed, or lacks entries that were verified before.
    """

    population: str
    unit: str
    total: float
    limit: float
    delta: float
    runs: tuple[tuple[str, float, str], ...]
    head: str
    earlier: int = 0
    open: int = 0
    intact: bool = True


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run. Counts, scores and losses are measured on private documents and carry no noise.

    Attributes:
        run_id: id of the run.
        started: time of the start, ISO 8601, UTC.
        finished: time of the end, ISO 8601, UTC.
        ingested: documents that the workspace keeps.
        duplicates: documents that occurred more than once.
        erased: documents that were erased on request.
        quarantined: items that could not be used.
        quarantine: the same by reason.
        masked: documents with masked text.
        spans_by_type: masked spans by entity type.
        chunks: counts of the chunks that the model reads.
        model: name of the model.
        card: the model's card.
        trained_now: True if the model was trained in this run.
        unprotected_losses: loss of each training step, measured without noise.
        feature_rows: rows of the features table.
        spent: what the ledger says.
        evaluation: scores of the model, and the encrypted check.
        seconds: duration of each stage.
        verdicts: documents by verdict of the second pass: PASS, REVIEW, FAIL.
        reasons: documents by reason of the verdict; `language` counts those in an unsupported language.
        detection: `lexveil.pipeline.masking.scores.collect_scores`.
        batch: `lexveil.pipeline.monitoring.batches.measure_batch`.
        changed: False if the last run was reused.
        redone: what was redone and why, by stage.
        unprotected_zeros: gradients, one per owner and step, that were not finite and counted as zero.
        notes: what accepted documents do not show, by the codes of the readers.
        forgotten: versions of changed documents, and documents erased because their file has disappeared.
    """

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
    spent: Spending
    evaluation: Evaluation
    seconds: Mapping[str, float] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    detection: Mapping[str, Any] = field(default_factory=dict)
    batch: Mapping[str, Any] = field(default_factory=dict)
    changed: bool = True
    redone: Mapping[str, str] = field(default_factory=dict)
    forgotten: int = 0
    unprotected_zeros: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)

    def to_json(self, workspace: Workspace) -> dict[str, Any]:
        """Return the object that `lexveil run --json` prints."""
        data = asdict(self)
        evaluation = data.pop("evaluation")
        if evaluation["encrypted"]:
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
    """Return the path of a run's report."""
    return workspace.runs / run_id / "report.html"


def compute_spending(workspace: Workspace) -> Spending:
    """Compute what the configured population has spent."""
    ledger = workspace.ledger
    try:
        now = ledger.read()
    finally:
        ledger.close()
    population = find_charged_population(now, determine_population(workspace, now))
    limit, account = read_limit(workspace, now, population), now.account(population)
    verification = verify_new_entries(workspace, now)
    if not verification.ok:
        log.warning("the privacy ledger was changed, or entries are missing: see `lexveil ledger verify`")
    runs = account.reservations
    return Spending(
        population=population.name,
        unit=population.unit,
        total=account.spent_epsilon(limit.delta),
        limit=limit.epsilon,
        delta=limit.delta,
        earlier=max(0, len(runs) - _MOST_RUNS),
        runs=tuple((run.id, run.charge.epsilon(limit.delta), run.state) for run in runs[-_MOST_RUNS:]),
        open=sum(run.state == "open" for run in runs),
        head=verification.head,
        intact=verification.ok,
    )
