"""The main job: the list of stages that turns sources into masked text, a model, features and a report."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.models import now, read_card
from pipeline.records import ForEach, one_by_one, spans_by_type
from pipeline.report import write_report
from pipeline.settings import Settings
from pipeline.sources import check_fields, scan
from pipeline.stages.encode import encode, encoding_of
from pipeline.stages.evaluate import evaluate
from pipeline.stages.extract import extract
from pipeline.stages.ingest import ingest, planned, read_catalogue
from pipeline.stages.mask import mask
from pipeline.stages.train import Trained, current_model, settle, train
from pipeline.summary import RunSummary, account
from pipeline.tables import digest_of, part_path
from pipeline.workspace import (
    Workspace,
    code_digest,
    given_key,
    key_store,
    read_json,
    read_manifest,
    write_json,
)

T = TypeVar("T")
_CODE = ("pipeline", "nlp", "privacy")


class Once(Protocol):
    """How a stage that isn't cut into shards is carried out; the counterpart of `ForEach`."""

    def __call__(self, stage: str, work: Callable[[], T]) -> T: ...


def at_once(stage: str, work: Callable[[], T]) -> T:
    """The simplest `Once`: here and now."""
    del stage
    return work()


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. It lies under the protected root, so that a scheduler need only know its id."""

    run_id: str
    sources: tuple[str, ...] = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def digest(self) -> str:
        """Equal for requests for the same work."""
        return digest_of([list(self.sources), self.settings.model_dump(mode="json", exclude={"workers"})])


def prepare(root: Path, settings: Settings, sources: Sequence[Path], need_labels: bool) -> Workspace:
    """Open or lay out a workspace, after everything that can be wrong with the request was looked at.

    Raises:
        UserError: a source, a field, the key or the workspace is wrong; nothing was written.
    """
    check_fields(scan(sources, settings.ingest), settings.ingest, need_labels)
    given_key(settings)
    workspace = Workspace.create_or_open(root)
    key_store(workspace, settings)
    return workspace


def request_run(workspace: Workspace, settings: Settings, sources: Sequence[Path]) -> Request:
    """What is asked for. A run that was killed is taken up again under its own id."""
    asked = Request(_new_run_id(), tuple(str(path.resolve()) for path in sources), settings)
    pending = read_json(_pending(workspace))
    if pending and pending["digest"] == asked.digest:
        return replace(asked, run_id=pending["run_id"])
    return asked


def submit(workspace: Workspace, request: Request) -> None:
    """Write a request down where `read_request` finds it, until its run has ended."""
    write_json(
        _pending(workspace),
        {
            "run_id": request.run_id,
            "digest": request.digest,
            "sources": request.sources,
            "settings": request.settings.model_dump(mode="json"),
        },
    )


def read_request(workspace: Workspace, run_id: str) -> Request:
    """The request of a run that hasn't ended."""
    found = read_json(_pending(workspace))
    if found is None or found["run_id"] != run_id:
        raise LookupError("no such pending run")
    return Request(run_id, tuple(found["sources"]), Settings.model_validate(found["settings"]))


def unchanged(workspace: Workspace, request: Request) -> dict[str, Any] | None:
    """The last run's JSON, where the same request over the same files would do nothing anew."""
    last = read_json(workspace.runs / "last.json")
    if last is None or last["digest"] != request.digest or not Path(last["result"]["report"]).is_file():
        return None
    if last["state"] != _state(workspace, request):
        return None
    return {**last["result"], "changed": False}


def run_job(
    workspace: Workspace, request: Request, each: ForEach = one_by_one, once: Once = at_once
) -> dict[str, Any]:
    """Carry out the main job and write its report. Returns what `lexveil run --json` prints."""
    settings, started, clock = request.settings, now(), _Clock()
    sources = [Path(source) for source in request.sources]
    ingested = clock.time("ingest", lambda: ingest(workspace, settings, sources, each))
    masked = clock.time("mask", lambda: mask(workspace, settings, each))
    want = encoding_of(settings.train.model)
    encoded = clock.time("encode", lambda: encode(workspace, settings, want, each))
    trained = clock.time("train", lambda: once("train", lambda: _model(workspace, settings, each)))
    features = clock.time("extract", lambda: extract(workspace, settings, trained.saved.name, each))
    outcome = clock.time(
        "evaluate", lambda: once("evaluate", lambda: evaluate(workspace, settings, trained.saved.name))
    )
    counts = ingested.counts()
    kept = read_catalogue(workspace).num_rows
    summary = RunSummary(
        run_id=request.run_id,
        started=started,
        finished=now(),
        ingested=kept,
        duplicates=counts.get("duplicates", 0) + counts.get("documents", 0) - kept,
        erased=counts.get("erased", 0),
        quarantined=counts.get("quarantined", 0),
        quarantine=_by_reason(counts),
        masked=masked.rows,
        spans_by_type=spans_by_type(masked.counts()),
        chunks=encoded.counts(),
        model=trained.saved.name,
        card=read_card(trained.saved.folder),
        trained_now=trained.new,
        unprotected_losses=trained.unprotected_losses,
        feature_rows=features.rows,
        spent=account(workspace, settings),
        evaluation=outcome,
        seconds=clock.seconds,
    )
    write_report(workspace, summary)
    result = summary.to_json(workspace)
    write_json(workspace.runs / request.run_id / "run.json", result)
    last = {"digest": request.digest, "state": _state(workspace, request), "result": result}
    write_json(workspace.runs / "last.json", last)
    _pending(workspace).unlink(missing_ok=True)
    return result


def _model(workspace: Workspace, settings: Settings, each: ForEach) -> Trained:
    """The model of this recipe, trained only where none fits: new documents alone never spend epsilon."""
    known = current_model(workspace, settings)
    if known is None:
        return train(workspace, settings, each)
    settle(workspace, settings, known)
    return Trained(known, new=False)


class _Clock:
    """Wall seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], T]) -> T:
        start = time.monotonic()
        try:
            return work()
        finally:
            self.seconds[stage] = round(time.monotonic() - start, 3)


def _by_reason(counts: Mapping[str, int]) -> dict[str, int]:
    prefix = "quarantine:"
    return {name.removeprefix(prefix): n for name, n in sorted(counts.items()) if name.startswith(prefix)}


def _pending(workspace: Workspace) -> Path:
    return workspace.protected / "pending.json"


def _new_run_id() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"


def _state(workspace: Workspace, request: Request) -> str:
    """Digest of everything that a run of this request would look at before it decides to do nothing."""
    known = planned(workspace)
    items = scan([Path(source) for source in request.sources], request.settings.ingest, known)
    folders = ((workspace.raw, "ingest"), (workspace.masked, "mask"), (workspace.features, "extract"))
    shards = [
        [shard.key, shard.rows, part_path(folder, shard.index).exists()]
        for folder, stage in folders
        for shard in read_manifest(folder, stage).shards
    ]
    model = current_model(workspace, request.settings)
    return digest_of([[item.identity for item in items], shards, model and model.name, code_digest(*_CODE)])
