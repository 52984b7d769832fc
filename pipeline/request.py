"""Requests for a run: their checks, where they are stored until the run has ended, and whether to skip them.

Light to import, so that a wrong request is refused at once, and a night without anything new ends at once.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lexveil.pipeline.logs import log
from lexveil.pipeline.masking.scores import compute_scores_digest
from lexveil.pipeline.monitoring.watch import record_idle_run
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources.documents import SourceItem, check_fields, scan_sources
from lexveil.pipeline.sources.plan import Scan, digest_items, find_removed, recall_scanned, scan_known_sources
from lexveil.pipeline.sources.survey import describe_owner_fields, find_owner_fields
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.features import read_current_version
from lexveil.pipeline.workspace.keys import load_given_key
from lexveil.pipeline.workspace.runs import LastRun, RunRecord, read_last_run, write_last_run
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.storage import locate, read_json, to_url, write_bytes
from lexveil.pipeline.workspace.tables import compute_digest, part_path
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal, unseal

_PURPOSE = "request"
# Settings that say how a run is carried out or where things are kept, and do not affect its result. They are
# left out of the digest: one of a URL with a password would let anybody confirm a guess of the password.
EXECUTION_SETTINGS = (
    "workers",
    "runner",
    "runner_address",
    "shard_seconds",
    "database",
    "master_key_file",
    "master_key_service",
)
# What only the endpoint's replicas use: a run needs neither, so that neither is stored with its request.
_ENDPOINT_SECRETS = {"state_url", "state_key"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a run. It is stored under the protected root, so that a scheduler needs only its id.

    Attributes:
        run_id: id of the run.
        sources: absolute paths and URLs of the sources.
        settings: settings of the run.
    """

    run_id: str
    sources: tuple[str, ...] = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def digest(self) -> str:
        """Digest that is equal for requests for the same work."""
        kept_out = {"ledger": {"url"}, "encrypted": _ENDPOINT_SECRETS}
        decided = self.settings.model_dump(
            mode="json", exclude={**dict.fromkeys(EXECUTION_SETTINGS, True), **kept_out}
        )
        return compute_digest([list(self.sources), decided])


def needs_labels(settings: Settings) -> bool:
    """Return True if the labels of the documents decide whether a classifier can be trained."""
    return settings.train.objective != "denoise" and settings.train.labels is None


def _check_request(
    scan: Scan, settings: Settings, sources: Sequence[Path], need_labels: bool
) -> Sequence[SourceItem]:
    """Refuse a request that cannot be carried out. Writes nothing.

    Sources whose fields were checked before are not read again: a night costs what is new in it.

    Args:
        scan: what `scan_request` found.
        settings: settings of the run.
        sources: sources of the run.
        need_labels: refuse labels that cannot train a classifier.

    Returns:
        The items whose fields were checked; none if they were checked before.

    Raises:
        UserError: a source, a field, the key, the device or the workspace is wrong.
    """
    known, items = scan.known, scan.items
    new = not known or (bool(items) and not any(_has_known_fields(item, known) for item in items))
    if new:
        check_fields(items, settings.ingest, need_labels)
    find_removed(known, items, sources, settings.ingest)
    if settings.master_key_file is None or settings.master_key_file.exists():
        load_given_key(settings)  # a file that is missing is created with the workspace
    if settings.mask.own_rules:
        from lexveil.pipeline.masking.detector import check_own_rules

        check_own_rules(settings.mask)
    if settings.train.device == "cuda":
        from lexveil.pipeline.training.fit import choose_device  # heavy, so only where it may refuse

        choose_device(settings.train)
    return items if new else ()


def scan_request(location: str | Path, settings: Settings, sources: Sequence[Path]) -> Scan:
    """Scan the sources of a request. Writes nothing.

    It reads the whole plan: a command scans once, and hands the scan on.

    Args:
        location: folder or URL of the workspace, which need not exist.
        settings: settings of the run.
        sources: sources of the run.

    Raises:
        UserError: a source, the key or the workspace is wrong.
    """
    if Workspace.exists(location):
        return scan_known_sources(Workspace.open(location, settings), sources)
    return Scan({}, scan_sources(sources, settings.ingest))


def prepare_workspace(
    location: str | Path,
    settings: Settings,
    sources: Sequence[Path],
    need_labels: bool,
    scan: Scan | None = None,
) -> Workspace:
    """Check a request, then open its workspace, or create a new one.

    Args:
        location: folder or URL of the workspace.
        settings: settings of the run.
        sources: sources of the run.
        need_labels: refuse labels that cannot train a classifier.
        scan: what `scan_request` found a moment ago; None: scan now.

    Raises:
        UserError: a source, a field, the key, the device or the workspace is wrong; nothing was written.
    """
    scan = scan or scan_request(location, settings, sources)
    checked = _check_request(scan, settings, sources, need_labels)
    workspace = Workspace.create_or_open(location, settings)
    _ = workspace.keys  # created now, before any worker needs them
    if settings.ingest.owner_field is None and (names := find_owner_fields(checked, settings.ingest)):
        log.warning(describe_owner_fields(len(names)))
    return workspace


def reuse_last_result(
    location: str | Path, settings: Settings, sources: Sequence[Path], scan: Scan | None = None
) -> dict[str, Any] | None:
    """Return the last run's JSON if the same request was carried out and nothing has changed since.

    Call it first: a night without anything new reads the sizes and times of files, and nothing else. The
    metrics count it as a run with nothing to do.

    Args:
        location: folder or URL of the workspace, which need not exist.
        settings: settings of the run.
        sources: sources of the run.
        scan: what `scan_request` found a moment ago; None: scan now.

    Raises:
        UserError: a source is missing, or the key or the workspace is wrong.
    """
    if not Workspace.exists(location):
        return None
    workspace = Workspace.open(location, settings)
    result = find_reusable_result(workspace, make_request(workspace, sources), scan)
    if result is not None:
        record_idle_run(workspace)
    return result


def make_request(workspace: Workspace, sources: Sequence[Path]) -> Request:
    """Return the request for a run. A run that was killed keeps its id."""
    request = Request(new_run_id(), tuple(to_url(path) for path in sources), workspace.settings)
    pending = read_json(_pending_path(workspace))
    if pending and pending["digest"] == request.digest:
        return replace(request, run_id=pending["run_id"])
    return request


def submit_request(workspace: Workspace, request: Request) -> None:
    """Store a request for `read_request`, until its run has ended."""
    key = workspace.with_settings(request.settings).keys.purpose_key(_PURPOSE)
    content = {
        "run_id": request.run_id,
        "digest": request.digest,
        "sources": seal(key, json.dumps(request.sources).encode(), request.run_id).hex(),
        "settings": request.settings.model_dump(mode="json", exclude={"encrypted": _ENDPOINT_SECRETS}),
    }
    write_bytes(_pending_path(workspace), json.dumps(content).encode(), 0o600)


def read_request(workspace: Workspace, run_id: str) -> Request:
    """Read the request of a run that has not ended.

    Raises:
        LookupError: no such run is pending.
    """
    pending = read_json(_pending_path(workspace))
    if pending is None or pending["run_id"] != run_id:
        raise LookupError("no such pending run")
    settings = Settings.model_validate(pending["settings"])
    key = workspace.with_settings(settings).keys.purpose_key(_PURPOSE)
    sources = json.loads(unseal(key, bytes.fromhex(pending["sources"]), run_id))
    return Request(run_id, tuple(sources), settings)


def drop_request(workspace: Workspace) -> None:
    """Drop the request of a run that was killed: the next run is another one. Its work is kept."""
    _pending_path(workspace).unlink(missing_ok=True)


def close_request(workspace: Workspace, request: Request, result: Mapping[str, Any]) -> None:
    """Record that a run has ended, and the state of the workspace and of the sources that it read.

    Sources that have changed since are new to the next run.
    """
    state = _digest_state(workspace, recall_scanned(workspace.with_settings(request.settings)))
    write_last_run(workspace, LastRun(request.digest, state, RunRecord(result)))
    drop_request(workspace)


def find_reusable_result(
    workspace: Workspace, request: Request, scan: Scan | None = None
) -> dict[str, Any] | None:
    """Return the last run's JSON if the same request over the same files would do nothing new.

    `scan`: what `scan_request` found a moment ago; None: scan now.
    """
    last = read_last_run(workspace)
    if last is None or last.digest != request.digest or not locate(last.record.report).is_file():
        return None
    sources = [locate(source) for source in request.sources]
    items = (scan or scan_known_sources(workspace.with_settings(request.settings), sources)).items
    if last.state != _digest_state(workspace, digest_items(items)):
        return None
    return {**last.record.data, "changed": False}


def _has_known_fields(item: SourceItem, known: Mapping[str, Sequence[SourceItem]]) -> bool:
    return any(other.fields == item.fields for other in known.get(item.path, ()))


def new_run_id() -> str:
    """Return an id that no other run has; it begins with the time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"


def _digest_state(workspace: Workspace, scanned: str | None) -> str:
    """Digest everything that a run would look at before it decides to do nothing.

    Args:
        workspace: the workspace.
        scanned: digest of the items of its sources.
    """
    # The report shows the models' audits and the detector's scores.
    return compute_digest(
        [
            scanned,
            _list_shards(workspace),
            _list_audits(workspace),
            compute_scores_digest(workspace),
            code_digest("lexveil.pipeline.job"),
        ]
    )


def _list_shards(workspace: Workspace) -> list[list[Any]]:
    """List key and rows of every finished shard, and whether its part is there."""
    features = workspace.features / (read_current_version(workspace) or {"version": "none"})["version"]
    shards: list[list[Any]] = []
    for folder, stage in ((workspace.raw, "ingest"), (workspace.masked, "mask"), (features, "extract")):
        parts = {path.name for path in folder.glob("part-*.parquet")}
        for shard in read_manifest(folder, stage).shards:
            shards.append([shard.key, shard.rows, part_path(folder, shard.index).name in parts])
    return shards


def _list_audits(workspace: Workspace) -> list[list[Any]]:
    cards = sorted(workspace.models.glob("*/card.json"))
    return [[card.parent.name, (read_json(card) or {}).get("audit")] for card in cards]


def _pending_path(workspace: Workspace) -> Path:
    return workspace.local / "pending.json"  # its settings may contain the URL of a database
