"""Exclusive, logged actions on a workspace, and the facts about them that its log keeps."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexveil.pipeline.records import Manifest
    from lexveil.pipeline.stages.audit import AuditOutcome
    from lexveil.pipeline.workspace.workspace import Workspace


@contextmanager
def exclusive_action(
    workspace: Workspace, action: str, facts: Mapping[str, Any] | None = None
) -> Generator[dict[str, Any], None, None]:
    """Lock the workspace for one action; its log records that the action started and how it ended.

    Yields:
        The facts of the log's last entry, to be filled in: digests, counts and sums only.

    Raises:
        WorkspaceError: Another process holds the lock, or the log cannot be written.
    """
    from lexveil.pipeline.workspace.lock import lock, remove_partial_files

    with lock(workspace):
        remove_partial_files(workspace)
        with workspace.log.record(action, facts) as outcome:
            yield outcome


def summarize_manifest(manifest: Manifest) -> dict[str, Any]:
    """Return what the log keeps of a stage."""
    from lexveil.pipeline.workspace.tables import compute_digest

    digests = [shard.digest for shard in manifest.shards]
    return {"rows": manifest.rows, "shards_done": manifest.done_now, "digest": compute_digest(digests)}


def summarize_model(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the log keeps of a training run."""
    names = ("name", "epsilon", "delta", "unit", "population", "reservation")
    return {name: card[name] for name in names}


def summarize_audit(audited: AuditOutcome) -> dict[str, Any]:
    """Return what the log keeps of an audit."""
    failed = len(audited.card["failed"])
    return {"name": audited.saved.name, "tests": len(audited.findings), "failed": failed}
