"""What a run is asked to do, where that lies until it is done, and whether there is anything to do.

Light to import, so that a wrong request is refused, and an idle one answered, at once.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lexveil.pipeline.masking.scores import scores_digest
from lexveil.pipeline.monitoring import watch
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.sources.documents import SourceItem, check_fields, scan_sources
from lexveil.pipeline.sources.plan import find_removed, read_known_items
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.features import read_current_version
from lexveil.pipeline.workspace.keys import load_given_key
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.storage import locate, read_json, to_url, write_bytes, write_json
from lexveil.pipeline.workspace.tables import compute_digest, part_path
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal, unseal

_PURPOSE = "request"
# Settings that say how a run is carried out or where things are kept, and nothing of what it comes to: a
# digest of a URL with a password would let anybody confirm a guess of it.
EXECUTION_SETTINGS = (
    "workers",
    "runner",
    "runner_address",
    "shard_seconds",
    "database",
    "master_key_file",
    "master_key_service",
)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. It lies under the protected root, so that a scheduler need only know its id."""

    run_id: str
    sources: tuple[str, ...] = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def digest(self) -> str:
        """Equal for requests for the same work."""
        decided = self.settings.model_dump(
            mode="json", exclude={**dict.fromkeys(EXECUTION_SETTINGS, True), "ledger": {"url"}}
        )
        return compute_digest([list(self.sources), decided])


def prepare_workspace(
    place: str | Path, settings: Settings, sources: Sequence[Path], need_labels: bool
) -> Workspace:
    """Open or lay out a workspace, after everything that can be wrong with the request was looked at.

    Sources whose fields were looked at before are not read again: a night's cost is that of what is new.

    Raises:
        UserError: a source, a field, the key or the workspace is wrong; nothing was written.
    """
    known = read_known_items(Workspace.open(place, settings)) if Workspace.exists(place) else {}
    items = scan_sources(sources, settings.ingest, known)
    if not known or (items and not any(_looked_at(item, known) for item in items)):
        check_fields(items, settings.ingest, need_labels)
    find_removed(known, items, sources, settings.ingest)
    load_given_key(settings)
    if settings.train.device == "cuda":
        from lexveil.pipeline.training.fit import device_of  # heavy, so only where it may refuse

        device_of(settings.train)
    workspace = Workspace.create_or_open(place, settings)
    _ = workspace.keys  # made now, before any worker needs them
    return workspace


def reuse_last_result(
    place: str | Path, settings: Settings, sources: Sequence[Path]
) -> dict[str, Any] | None:
    """The last run's JSON, where the same request was carried out before and nothing has changed since.

    Asked first: a night without anything new looks at the sizes and times of files, and at nothing else.

    Raises:
        UserError: a source is missing, or the key or the workspace is wrong.
    """
    if not Workspace.exists(place):
        return None
    workspace = Workspace.open(place, settings)
    last = find_reusable_result(workspace, make_request(workspace, sources))
    if last is not None:
        watch.idle(workspace)
    return last


def make_request(workspace: Workspace, sources: Sequence[Path]) -> Request:
    """What is asked for. A run that was killed is taken up again under its own id."""
    asked = Request(new_run_id(), tuple(to_url(path) for path in sources), workspace.settings)
    pending = read_json(_pending(workspace))
    if pending and pending["digest"] == asked.digest:
        return replace(asked, run_id=pending["run_id"])
    return asked


def submit_request(workspace: Workspace, request: Request) -> None:
    """Write a request down where `read_request` finds it, until its run has ended."""
    key = workspace.with_settings(request.settings).keys.purpose_key(_PURPOSE)
    content = {
        "run_id": request.run_id,
        "digest": request.digest,
        "sources": seal(key, json.dumps(request.sources).encode(), request.run_id).hex(),
        "settings": request.settings.model_dump(mode="json"),
    }
    write_bytes(_pending(workspace), json.dumps(content).encode(), 0o600)


def read_request(workspace: Workspace, run_id: str) -> Request:
    """The request of a run that hasn't ended."""
    found = read_json(_pending(workspace))
    if found is None or found["run_id"] != run_id:
        raise LookupError("no such pending run")
    settings = Settings.model_validate(found["settings"])
    key = workspace.keys.purpose_key(_PURPOSE)
    sources = json.loads(unseal(key, bytes.fromhex(found["sources"]), run_id))
    return Request(run_id, tuple(sources), settings)


def close_request(workspace: Workspace, request: Request, result: dict[str, Any]) -> None:
    """Record that a run has ended, and in what state of the workspace and the sources."""
    last = {"digest": request.digest, "state": _state(workspace, request), "result": result}
    write_json(workspace.runs / "last.json", last)
    _pending(workspace).unlink(missing_ok=True)


def find_reusable_result(workspace: Workspace, request: Request) -> dict[str, Any] | None:
    """The last run's JSON, where the same request over the same files would do nothing anew."""
    last = read_json(workspace.runs / "last.json")
    if last is None or last["digest"] != request.digest or not locate(last["result"]["report"]).is_file():
        return None
    if last["state"] != _state(workspace, request):
        return None
    return {**last["result"], "changed": False}


def _looked_at(item: SourceItem, known: Mapping[str, Sequence[SourceItem]]) -> bool:
    return any(other.fields == item.fields for other in known.get(item.path, ()))


def _pending(workspace: Workspace) -> Path:
    return workspace.local / "pending.json"  # its settings may hold the URL of a database


def new_run_id() -> str:
    """An id that no other run has; it begins with the time."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"


def _state(workspace: Workspace, request: Request) -> str:
    """Digest of everything that a run of this request would look at before it decides to do nothing."""
    known = read_known_items(workspace.with_settings(request.settings))
    items = scan_sources([locate(source) for source in request.sources], request.settings.ingest, known)
    features = workspace.features / (read_current_version(workspace) or {"version": "none"})["version"]
    shards: list[list[Any]] = []
    for folder, stage in ((workspace.raw, "ingest"), (workspace.masked, "mask"), (features, "extract")):
        there = {path.name for path in folder.glob("part-*.parquet")}
        for shard in read_manifest(folder, stage).shards:
            shards.append([shard.key, shard.rows, part_path(folder, shard.index).name in there])
    cards = sorted(workspace.models.glob("*/card.json"))
    # The report shows the models' audits and the detector's scores.
    models = [[card.parent.name, (read_json(card) or {}).get("audit")] for card in cards]
    measured = scores_digest(workspace)
    return compute_digest(
        [[item.identity for item in items], shards, models, measured, code_digest("lexveil.pipeline.job")]
    )
