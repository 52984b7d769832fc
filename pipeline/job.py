"""The main job: the stages that turn sources into masked text, a model, features and a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from lexveil.pipeline.errors import TrainingRefusedError
from lexveil.pipeline.masking.scores import collect_scores
from lexveil.pipeline.masking.texts import HELD_BACK
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.encoding import get_encoding
from lexveil.pipeline.monitoring.batches import measure_batch
from lexveil.pipeline.monitoring.watch import RunMonitor, monitor_run
from lexveil.pipeline.records import CountKind, ForEach, Manifest, now, run_one_by_one
from lexveil.pipeline.reports.history import write_history
from lexveil.pipeline.reports.run import write_report
from lexveil.pipeline.reports.summary import RunSummary, compute_spending
from lexveil.pipeline.request import Request, close_request
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.evaluate import Evaluation, evaluate
from lexveil.pipeline.stages.extract import extract
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import TrainingOutcome, train
from lexveil.pipeline.training.classes import NO_LABELS, stops_without_labels
from lexveil.pipeline.training.identity import find_current_model
from lexveil.pipeline.training.reservations import reconcile_ledger
from lexveil.pipeline.workspace.runs import RunRecord, write_run
from lexveil.pipeline.workspace.storage import locate
from lexveil.pipeline.workspace.workspace import Workspace

T = TypeVar("T")


class Once(Protocol):
    """Runs a stage that is not divided into shards; the counterpart of `ForEach`."""

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        """Run the work of a stage and return its result."""
        ...


def run_now(stage: str, work: Callable[[], T]) -> T:
    """Run a stage in this process, now: the simplest `Once`."""
    del stage
    return work()


def run_job(
    workspace: Workspace, request: Request, each: ForEach = run_one_by_one, once: Once = run_now
) -> dict[str, Any]:
    """Run the main job and write its report.

    Args:
        workspace: the workspace; its settings are replaced by those of the request.
        request: the request to carry out. It is closed at the end.
        each: runs the shards of a stage.
        once: runs the stages without shards.

    Returns:
        The object that `lexveil run --json` prints.
    """
    workspace = workspace.with_settings(request.settings)
    with monitor_run(workspace, "run") as monitor:
        started = now()
        stages = _run_stages(workspace, request, monitor, monitor.count_shards(each), once)
        result = _report(workspace, _summarize(workspace, request, started, monitor, stages))
        monitor.set_summary(RunRecord(result))
    close_request(workspace, request, result)
    return result


@dataclass(frozen=True, slots=True)
class _Stages:
    """Results of the stages."""

    ingested: Manifest
    masked: Manifest
    encoded: Manifest
    trained: TrainingOutcome
    features: Manifest
    evaluation: Evaluation


def _run_stages(
    workspace: Workspace, request: Request, monitor: RunMonitor, each: ForEach, once: Once
) -> _Stages:
    sources = [locate(source) for source in request.sources]
    ingested = monitor.run_stage("ingest", lambda: ingest(workspace, sources, each))
    masked = monitor.run_stage("mask", lambda: mask(workspace, each))
    _require_labels(workspace)
    encoding = get_encoding(workspace.settings.train.model)
    encoded = monitor.run_stage("encode", lambda: encode(workspace, encoding, each))
    warm = masked.done_now > 0  # its workers have the detector, which this process would load for some names
    trained = monitor.run_stage("train", lambda: once("train", lambda: _find_or_train(workspace, each, warm)))
    name = trained.saved.name
    features = monitor.run_stage("extract", lambda: extract(workspace, name, each, request.run_id))
    evaluation = monitor.run_stage("evaluate", lambda: once("evaluate", lambda: evaluate(workspace, name)))
    return _Stages(ingested, masked, encoded, trained, features, evaluation)


def _require_labels(workspace: Workspace) -> None:
    """Stop a first run whose documents have no labels, unless the objective is named: it may be a mistake.

    Raises:
        TrainingRefusedError: they have none, and the workspace has no model yet.
    """
    labels = workspace.catalogue.read(columns=["label"]).column("label").to_pylist()
    if stops_without_labels(workspace.settings.train, labels) and find_current_model(workspace) is None:
        raise TrainingRefusedError(NO_LABELS)


def _find_or_train(workspace: Workspace, each: ForEach, each_has_detector: bool) -> TrainingOutcome:
    """Return the model of this recipe, trained only if there is none: new documents never spend epsilon."""
    known = find_current_model(workspace)
    if known is None:
        return train(workspace, each, each_has_detector=each_has_detector)
    reconcile_ledger(workspace)
    return TrainingOutcome(known, new=False)


def _summarize(
    workspace: Workspace, request: Request, started: str, monitor: RunMonitor, stages: _Stages
) -> RunSummary:
    ingested, masked, saved = stages.ingested, stages.masked, stages.trained.saved
    counts, masked_counts = ingested.counts(), masked.counts()
    kept = workspace.catalogue.read(columns=["shard"]).num_rows
    held_back = masked_counts.get(CountKind.QUARANTINE.key(HELD_BACK), 0)
    manifests = (ingested, masked, stages.encoded, stages.features)
    return RunSummary(
        run_id=request.run_id,
        started=started,
        finished=now(),
        ingested=kept,
        duplicates=counts.get("duplicates", 0) + counts.get("documents", 0) - kept,
        erased=counts.get("erased", 0),
        forgotten=counts.get("forgotten", 0),
        redone={stage: why for manifest in manifests for stage, why in manifest.redone.items()},
        quarantined=counts.get("quarantined", 0) + held_back,
        quarantine=CountKind.QUARANTINE.select({**counts, **masked_counts}),
        notes=CountKind.NOTE.select(counts),
        masked=masked.rows,
        spans_by_type=CountKind.SPAN.select(masked_counts),
        verdicts=CountKind.VERDICT.select(masked_counts),
        reasons=CountKind.REASON.select(masked_counts),
        detection=collect_scores(workspace),
        chunks=stages.encoded.counts(),
        model=saved.name,
        card=read_card(saved.folder),
        trained_now=stages.trained.new,
        unprotected_losses=stages.trained.unprotected_losses,
        unprotected_zeros=stages.trained.unprotected_zeros,
        feature_rows=stages.features.rows,
        spent=compute_spending(workspace),
        evaluation=stages.evaluation,
        batch=monitor.run_stage("history", lambda: measure_batch(workspace, request.run_id, ingested)),
        seconds=monitor.seconds,
    )


def _report(workspace: Workspace, summary: RunSummary) -> dict[str, Any]:
    """Write the report, the record of the run and the history page; return the record."""
    write_report(workspace, summary)
    result = summary.to_json(workspace)
    write_run(workspace, summary.run_id, result)
    write_history(workspace)
    return result
