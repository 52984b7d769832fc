"""Names of classes: a worker masks them as this process would, and shows none of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lexveil.pipeline.masking.texts import mask_names, mask_names_by
from lexveil.pipeline.records import Shard, ShardResult, Work
from lexveil.pipeline.stages.find import find
from lexveil.pipeline.workspace.workspace import Workspace

NAMES = ["lease", "Matter of Ms Jane Roe", "Roe Holdings Ltd"]


@pytest.fixture
def workspace(ingested: Callable[..., Workspace]) -> Workspace:
    workspace = ingested([{"text": "The lessee shall pay.", "owner": "a", "label": NAMES[1]}])
    find(workspace)
    return workspace


def leftovers(workspace: Workspace) -> list[Path]:
    return [*workspace.found.glob("*.partial")]


def test_a_worker_masks_them_as_this_process_would(workspace: Workspace) -> None:
    shown: list[str] = []
    written: list[bytes] = []

    def elsewhere(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        there: Work = pickle.loads(pickle.dumps(work))
        results = [there(shard) for shard in shards]
        shown.append(repr((stage, work, shards, results)))
        written.extend(path.read_bytes() for path in leftovers(workspace))
        yield from results

    masked = mask_names_by(elsewhere, workspace, NAMES)
    assert masked == mask_names(workspace, NAMES)
    assert masked[0] == NAMES[0]
    assert "Roe" not in "".join(masked)
    assert len(written) == 1
    for name in (*NAMES, *masked):
        assert name not in shown[0]
        assert name.encode() not in written[0]
    assert leftovers(workspace) == []


def test_without_names_no_worker_is_asked(workspace: Workspace) -> None:
    def nobody(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        pytest.fail("asked")

    assert mask_names_by(nobody, workspace, []) == []


def test_nothing_stays_where_a_worker_fails_or_is_killed(workspace: Workspace) -> None:
    def fail(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        yield work(shards[0])
        raise MemoryError

    with pytest.raises(MemoryError):
        mask_names_by(fail, workspace, NAMES)
    assert leftovers(workspace) == []
    (workspace.found / "names.partial").write_bytes(b"sealed")  # by a run that was killed
    find(workspace)
    assert leftovers(workspace) == []
