"""Figures that may leave: charged before they are measured, and once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexveil.pipeline.records import now
from lexveil.pipeline.training.data import Row, Split
from lexveil.pipeline.training.reservations import (
    check_before_charging,
    open_reconciled_ledger,
    reserve,
)
from lexveil.pipeline.workspace.storage import read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.dp.engine import TrainingPlan
from lexveil.privacy.dp.randomness import SecureRandom


@contextmanager
def release_once(
    workspace: Workspace,
    split: Split,
    path: Path,
    digest: str,
    plan: TrainingPlan,
    name: str,
    measure: Callable[[SecureRandom], Mapping[str, Any]],
) -> Generator[dict[str, Any]]:
    """Charge the ledger and measure, or return what was released before.

    A release that was killed ends with the same figures. Its charge is committed when they have been kept,
    and the caller has done with them what it wants to.

    Args:
        workspace: the workspace.
        split: the documents.
        path: file that keeps the figures.
        digest: what identifies the release; one with another digest takes the place of what was kept.
        plan: the charge.
        name: what the log calls the release.
        measure: returns the figures, with noise from the randomness that it is given.

    Yields:
        The figures, with `epsilon`, `delta`, `population`, `reservation` and `date`, unless `measure` has
        set them.

    Raises:
        TrainingRefusedError: a delta is too large for the number of owners.
        BudgetRefusedError: the ledger's limit would be exceeded.
    """
    delta = workspace.settings.train.delta
    with open_reconciled_ledger(workspace) as (ledger, population):
        done: dict[str, Any] | None = read_json(path)
        if done is None or done["digest"] != digest:
            check_before_charging(workspace, ledger, population, split, {digest: plan})
            run = reserve(workspace, ledger, population, plan, digest, name)
            assert run.secret is not None  # no model has the name of a release
            done = {
                "digest": digest,
                "released": {
                    "epsilon": run.reservation.charge.epsilon(delta),
                    "delta": delta,
                    "population": population.name,
                    "reservation": run.reservation.id,
                    "date": now(),
                    **measure(SecureRandom(run.secret.key)),
                },
            }
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(path, done)
        yield done["released"]
        for run in ledger.reservations(population):
            if run.state == "open" and run.id == done["released"]["reservation"]:
                ledger.commit(run.id, run.charge.steps)  # after the figures are stored


def describe_documents(rows: Sequence[Row]) -> list[tuple[str, str, str | None]]:
    """Return what identifies documents and their labels, for the digest of a release."""
    return sorted((row.doc_id, row.owner, row.label) for row in rows)
