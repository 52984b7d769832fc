"""The main job: the list of stages that turns sources into masked text, a model, features and a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from lexveil.pipeline.masking.scores import scores_in_use
from lexveil.pipeline.masking.texts import HELD_BACK
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.encoding import encoding_of
from lexveil.pipeline.monitoring.batches import measure
from lexveil.pipeline.monitoring.watch import Watch, watched
from lexveil.pipeline.records import ForEach, now, run_one_by_one, spans_by_type
from lexveil.pipeline.reports.history import write_history
from lexveil.pipeline.reports.run import write_report
from lexveil.pipeline.reports.summary import RunSummary, account
from lexveil.pipeline.request import Request, close_request
from lexveil.pipeline.stages.encode import encode
from lexveil.pipeline.stages.evaluate import evaluate
from lexveil.pipeline.stages.extract import extract
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import Trained, current_model, settle, train
from lexveil.pipeline.workspace.storage import locate, write_json
from lexveil.pipeline.workspace.workspace import Workspace

T = TypeVar("T")


class Once(Protocol):
    """How a stage that isn't cut into shards is carried out; the counterpart of `ForEach`."""

    def __call__(self, stage: str, work: Callable[[], T]) -> T: ...


def run_now(stage: str, work: Callable[[], T]) -> T:
    """The simplest `Once`: here and now."""
    del stage
    return work()


def run_job(
    workspace: Workspace, request: Request, each: ForEach = run_one_by_one, once: Once = run_now
) -> dict[str, Any]:
    """Carry out the main job and write its report. Returns what `lexveil run --json` prints."""
    workspace = workspace.with_settings(request.settings)
    with watched(workspace, "run") as watch:
        result = _carry_out(workspace, request, watch, watch.each(each), once)
        watch.summed_up(result)
    close_request(workspace, request, result)
    return result


def _carry_out(
    workspace: Workspace, request: Request, watch: Watch, each: ForEach, once: Once
) -> dict[str, Any]:
    settings, started = request.settings, now()
    sources = [locate(source) for source in request.sources]
    ingested = watch.time("ingest", lambda: ingest(workspace, sources, each))
    masked = watch.time("mask", lambda: mask(workspace, each))
    want = encoding_of(settings.train.model)
    encoded = watch.time("encode", lambda: encode(workspace, want, each))
    trained = watch.time("train", lambda: once("train", lambda: _model(workspace, each)))
    features = watch.time("extract", lambda: extract(workspace, trained.saved.name, each, request.run_id))
    outcome = watch.time(
        "evaluate", lambda: once("evaluate", lambda: evaluate(workspace, trained.saved.name))
    )
    counts, held_back = ingested.counts(), masked.counts().get(f"quarantine:{HELD_BACK}", 0)
    kept = workspace.catalogue.read().num_rows
    summary = RunSummary(
        run_id=request.run_id,
        started=started,
        finished=now(),
        ingested=kept,
        duplicates=counts.get("duplicates", 0) + counts.get("documents", 0) - kept,
        erased=counts.get("erased", 0),
        forgotten=counts.get("forgotten", 0),
        redone={**ingested.redone, **masked.redone, **encoded.redone, **features.redone},
        quarantined=counts.get("quarantined", 0) + held_back,
        quarantine=_by_name({**counts, **masked.counts()}, "quarantine:"),
        masked=masked.rows,
        spans_by_type=spans_by_type(masked.counts()),
        verdicts=_by_name(masked.counts(), "verdict:"),
        reasons=_by_name(masked.counts(), "reason:"),
        detection=scores_in_use(workspace),
        chunks=encoded.counts(),
        model=trained.saved.name,
        card=read_card(trained.saved.folder),
        trained_now=trained.new,
        unprotected_losses=trained.unprotected_losses,
        feature_rows=features.rows,
        spent=account(workspace),
        evaluation=outcome,
        batch=watch.time("history", lambda: measure(workspace, request.run_id, ingested)),
        seconds=watch.seconds,
    )
    write_report(workspace, summary)
    result = summary.to_json(workspace)
    write_json(workspace.runs / request.run_id / "run.json", result)
    write_history(workspace)
    return result


def _model(workspace: Workspace, each: ForEach) -> Trained:
    """The model of this recipe, trained only where none fits: new documents alone never spend epsilon."""
    known = current_model(workspace)
    if known is None:
        return train(workspace, each)
    settle(workspace)
    return Trained(known, new=False)


def _by_name(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in sorted(counts.items()) if name.startswith(prefix)}
