"""What every command does around its work: keep others out of the workspace, and write the log."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexveil.pipeline.records import Manifest
    from lexveil.pipeline.stages.audit import Audited
    from lexveil.pipeline.workspace.workspace import Workspace


@contextmanager
def alone(
    workspace: Workspace, action: str, facts: Mapping[str, Any] | None = None
) -> Generator[dict[str, Any], None, None]:
    """The workspace to ourselves; its log says that the action started and how it ended.

    What is put into the yielded dict stands in the log's last entry: digests, counts and sums only.
    """
    from lexveil.pipeline.workspace.lock import lock, sweep

    with lock(workspace):
        sweep(workspace)
        with workspace.log.recorded(action, facts) as found:
            yield found


def of_manifest(manifest: Manifest) -> dict[str, Any]:
    """What the log keeps of a stage."""
    from lexveil.pipeline.workspace.tables import digest_of

    digests = [shard.digest for shard in manifest.shards]
    return {"rows": manifest.rows, "shards_done": manifest.done_now, "digest": digest_of(digests)}


def of_model(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the log keeps of a training run."""
    names = ("name", "epsilon", "delta", "unit", "population", "reservation")
    return {name: card[name] for name in names}


def of_audit(found: Audited) -> dict[str, Any]:
    """What the log keeps of an audit."""
    failed = len(found.card["failed"])
    return {"name": found.saved.name, "tests": len(found.findings), "failed": failed}
